// A proxy that compares every exchange with an OpenAPI 3.1 description.
//
//   contract_proxy.mjs NODE_MODULES_DIR UPSTREAM
//
// Prints `port N`. Fetches the description from UPSTREAM's
// /api/v1/openapi.json; everything else is passed on, and an exchange that the
// description does not allow is kept for GET /violations. GET /seen tells
// which answers were compared: `GET /api/v1/notifications 200`.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, upstream] = process.argv.slice(2);
const load = createRequire(join(modules, 'package.json'));
const Ajv = load('ajv/dist/2020.js').default;
const addFormats = load('ajv-formats').default;

const description = await (await fetch(`${upstream}/api/v1/openapi.json`)).json();
const ajv = new Ajv({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(description, 'description');

const seen = new Set();
const violations = [];
const compiled = new Map();

const escaped = (part) => part.replaceAll('~', '~0').replaceAll('/', '~1');
const pointer = (...parts) => `#/${parts.map((p) => encodeURIComponent(escaped(p))).join('/')}`;

/// Follows a $ref of a response; where it lies and what it is.
function resolve(node, at) {
  if (!node?.$ref) return [node, at];
  const parts = node.$ref.slice(2).split('/').map((p) => p.replaceAll('~1', '/').replaceAll('~0', '~'));
  return [parts.reduce((o, p) => o[p], description), pointer(...parts)];
}

function matches(schemaAt, value) {
  if (!compiled.has(schemaAt)) compiled.set(schemaAt, ajv.compile({ $ref: `description${schemaAt}` }));
  const validate = compiled.get(schemaAt);
  return validate(value) ? null : ajv.errorsText(validate.errors);
}

/// The path of the description that fits best: one without places wins.
function templateOf(path) {
  const fits = Object.keys(description.paths).filter((template) =>
    new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`).test(path));
  return fits.sort((a, b) => (a.match(/\{/g) ?? []).length - (b.match(/\{/g) ?? []).length)[0];
}

function judge(method, path, status, type, text) {
  const template = templateOf(path);
  const operation = template && description.paths[template][method.toLowerCase()];
  if (!operation) return `no such operation: ${method} ${path}`;
  seen.add(`${method} ${template} ${status}`);
  const written = operation.responses[status];
  if (!written) return `${method} ${template}: ${status} is not described`;
  const [response, at] = resolve(written, pointer('paths', template, method.toLowerCase(), 'responses', String(status)));
  if (!response.content) return text === '' ? null : `${method} ${template} ${status}: a body that is not described`;
  const media = type.split(';')[0].trim();
  if (!response.content[media]) return `${method} ${template} ${status}: ${media} is not described`;
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return `${method} ${template} ${status}: not JSON`;
  }
  const why = matches(`${at}/content/${encodeURIComponent(escaped(media))}/schema`, value);
  return why && `${method} ${template} ${status}: ${why} in ${text.slice(0, 1000)}`;
}

const server = createServer(async (request, answer) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/violations' || url.pathname === '/seen') {
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify(url.pathname === '/seen' ? [...seen].sort() : violations));
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const headers = new Headers();
  for (const name of ['authorization', 'content-type', 'accept']) {
    if (request.headers[name]) headers.set(name, request.headers[name]);
  }
  const hasBody = !['GET', 'HEAD'].includes(request.method);
  const got = await fetch(upstream + request.url, {
    method: request.method, headers, body: hasBody ? Buffer.concat(chunks) : undefined,
  });
  const text = await got.text();
  const type = got.headers.get('content-type') ?? '';
  const wrong = judge(request.method, url.pathname, got.status, type, text);
  if (wrong) violations.push(wrong);
  answer.statusCode = got.status;
  answer.setHeader('content-type', type);
  answer.end(text);
});
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
