// What npm has of Web Push, for push_tools_test.cpp: the push service of
// web-push-testing, and a receiver that decrypts with http_ece and checks the
// VAPID signature with Node's own crypto.
//
//   node push_service.mjs FOLDER   (with the node_modules of package.json)
//
// Prints `testing <port>` and `receiver <port>`, then serves until killed.
import {createRequire} from 'node:module';
import crypto from 'node:crypto';
import http from 'node:http';
import path from 'node:path';

const require = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'));
const ece = require('http_ece');
const PushApiModel = require('web-push-testing/src/PushApiModel.js');
const TestingServer = require('web-push-testing/src/server.js');

// -- web-push-testing, on loopback and any free port ---------------------------

const Model = PushApiModel.PushApiModel ?? PushApiModel;
const model = new Model();
const testing = new TestingServer(model, 0);
testing.setRequestHandlers();
testing._server = testing._app.listen(0, '127.0.0.1', () => {
  const {port} = testing._server.address();
  model.notifyUrl = `http://127.0.0.1:${port}/notify/`;
  console.log(`testing ${port}`);
});

// -- http_ece --------------------------------------------------------------------

const browser = crypto.createECDH('prime256v1');
browser.generateKeys();
const auth = crypto.randomBytes(16);
const received = [];

function verify(authorization, origin) {
  const [, token, key] = /^vapid t=([^,]+), k=(\S+)$/.exec(authorization);
  const [header, claims, signature] = token.split('.');
  const point = Buffer.from(key, 'base64url');
  const publicKey = crypto.createPublicKey({
    key: {kty: 'EC', crv: 'P-256', x: point.subarray(1, 33).toString('base64url'), y: point.subarray(33).toString('base64url')},
    format: 'jwk',
  });
  const good = crypto.verify('sha256', Buffer.from(`${header}.${claims}`), {key: publicKey, dsaEncoding: 'ieee-p1363'},
    Buffer.from(signature, 'base64url'));
  const said = JSON.parse(Buffer.from(claims, 'base64url'));
  const ends = said.exp - Date.now() / 1000;
  return {
    good, key, audience: said.aud === origin, subject: said.sub,
    algorithm: JSON.parse(Buffer.from(header, 'base64url')).alg, ends: ends > 0 && ends <= 86400,
  };
}

const receiver = http.createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, {'content-type': 'application/json'});
    response.end(JSON.stringify(body));
  };
  const origin = `http://127.0.0.1:${receiver.address().port}`;
  if (request.url === '/subscription')
    return answer(200, {
      endpoint: `${origin}/push`,
      keys: {p256dh: browser.getPublicKey('base64url'), auth: auth.toString('base64url')},
    });
  if (request.url === '/received')
    return answer(200, received);
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    try {
      const plain = ece.decrypt(Buffer.concat(parts), {
        version: request.headers['content-encoding'], privateKey: browser, authSecret: auth.toString('base64url'),
      });
      received.push({
        payload: JSON.parse(plain.toString('utf8')), vapid: verify(request.headers.authorization, origin),
        ttl: request.headers.ttl, urgency: request.headers.urgency, topic: request.headers.topic,
      });
      answer(201, {});
    } catch (error) {
      answer(400, {error: String(error)});
    }
  });
});
receiver.listen(0, '127.0.0.1', () => console.log(`receiver ${receiver.address().port}`));
