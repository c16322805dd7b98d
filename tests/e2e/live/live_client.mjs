// The web client's side of live delivery, with the libraries that it uses:
// laravel-echo and pusher-js. A test steers it over HTTP.
//
//   live_client.mjs NPM_DIR      prints "control PORT"
//
//   POST /open   {name, port, key, token, auth}   auth: where channels are authorised
//   POST /listen {name, channel, events}          channel without "private-"
//   POST /leave  {name, channel}
//   POST /close  {name}
//   GET  /log?name=…                              what has happened, in order
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const require = createRequire(path.join(process.argv[2], 'package.json'));
const Pusher = require('pusher-js');
const { default: Echo } = await import(
  pathToFileURL(path.join(process.argv[2], 'node_modules/laravel-echo/dist/echo.js')));

const clients = new Map();

function open({ name, port, key, token, auth }) {
  const log = [];
  const echo = new Echo({
    broadcaster: 'reverb',
    Pusher,
    key,
    wsHost: '127.0.0.1',
    wsPort: port,
    forceTLS: false,
    enabledTransports: ['ws', 'wss'],
    authEndpoint: auth,
    auth: { headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' } },
  });
  const connection = echo.connector.pusher.connection;
  connection.bind('state_change', ({ current }) => log.push({ what: 'state', state: current }));
  connection.bind('error', (error) => log.push({ what: 'error', code: error?.error?.data?.code ?? error?.data?.code ?? null }));
  clients.set(name, { echo, log });
}

function listen({ name, channel, events }) {
  const { echo, log } = clients.get(name);
  const subscription = echo.private(channel);
  subscription.subscribed(() => log.push({ what: 'subscribed', channel }));
  subscription.error((error) => log.push({ what: 'refused', channel, status: error?.status ?? null }));
  for (const event of events)
    subscription.listen(`.${event}`, (data) => log.push({ what: 'event', channel, event, data }));
}

const commands = {
  '/open': open,
  '/listen': listen,
  '/leave': ({ name, channel }) => clients.get(name).echo.leave(channel),
  '/close': ({ name }) => clients.get(name).echo.disconnect(),
};

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  try {
    if (request.method === 'GET')
      return answer(200, clients.get(url.searchParams.get('name')).log);
    let body = '';
    for await (const chunk of request) body += chunk;
    commands[url.pathname](JSON.parse(body));
    answer(200, {});
  } catch (error) {
    answer(500, { error: String(error?.stack ?? error) });
  }
});
server.listen(0, '127.0.0.1', () => console.log(`control ${server.address().port}`));
