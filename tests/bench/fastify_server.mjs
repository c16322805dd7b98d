// GET /api/v1/notifications and /unread-count as a careful Fastify + pg server
// gives them: JSON schemas for the answers, statements that are prepared once
// a connection, the token's and the tenant's rules in one query. Run by
// compare_fastify; prints "listening PORT".
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import cluster from "node:cluster";

const require = createRequire(process.env.FASTIFY_HOME + "/package.json");
const workers = Number(process.env.WORKERS ?? 1);
const connections = Number(process.env.CONNECTIONS ?? 10);

if (workers > 1 && cluster.isPrimary) {
  let listening = 0;
  for (let i = 0; i < workers; ++i) cluster.fork();
  cluster.on("listening", (_, { port }) => {
    if (++listening === workers) console.log(`listening ${port}`);
  });
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  await serve();
}

async function serve() {
  const fastify = require("fastify");
  const { Pool, types } = require("pg");

  // -- what the API writes -----------------------------------------------------

  // The session is in UTC: 2026-02-07 10:00:00.123456+00.
  types.setTypeParser(types.builtins.TIMESTAMPTZ, (text) => `${text.slice(0, 10)}T${text.slice(11, 19)}+00:00`);
  types.setTypeParser(types.builtins.INT8, Number);
  const known = new Map();
  const declared = readFileSync(new URL("../../domain/notification_type.hpp", import.meta.url), "utf8");
  for (const [, name, label, category, icon, urgent] of declared.matchAll(
    /X\((\w+), "([^"]*)", (\w+), "([^"]*)", (true|false)\)/g,
  ))
    known.set(name, { label, category, icon, urgent: urgent === "true" });

  const text = { type: "string" };
  const maybe = { type: ["string", "null"] };
  const number = { type: "integer" };
  const flag = { type: "boolean" };
  const object = (properties) => ({ type: "object", properties });
  const success = (properties) => object({ success: flag, message: text, ...properties });
  const item = object({
    id: text, user_id: text, type: text, type_label: text, category: text, channel: text, title: text, message: text,
    data: { type: ["object", "null"], additionalProperties: true },
    action_url: maybe, icon: text, is_read: flag, is_urgent: flag, read_at: maybe, sent_at: maybe, created_at: text,
  });
  const page = success({
    data: { type: "array", items: item },
    meta: object({
      current_page: number, last_page: number, per_page: number, total: number,
      from: { type: ["integer", "null"] }, to: { type: ["integer", "null"] },
    }),
    links: object({ first: text, last: text, prev: maybe, next: maybe }),
  });
  const count = success({ data: object({ count: number }) });
  const refused = object({ success: flag, message: text });

  const present = (row) => {
    const kind = known.get(row.type) ?? known.get("system_announcement");
    return {
      id: row.id,
      user_id: row.user_id,
      type: row.type,
      type_label: kind.label,
      category: kind.category,
      channel: row.channel,
      title: row.title,
      message: row.message,
      data: row.data,
      action_url: row.action_url,
      icon: row.icon ?? kind.icon,
      is_read: row.read_at !== null,
      is_urgent: kind.urgent,
      read_at: row.read_at,
      sent_at: row.sent_at,
      created_at: row.created_at,
    };
  };

  // -- the database --------------------------------------------------------------

  const pool = new Pool({
    connectionString: process.env.DATABASE_URL,
    max: Math.max(1, Math.floor(connections / workers)),
    options: "-c timezone=UTC -c search_path=carillon -c jit=off",
  });
  const query = (name, sql) => (values) => pool.query({ name, text: sql, values });
  const findToken = query("token", `
    SELECT t.id, t.token, coalesce(t.expires_at <= now(), false) AS expired,
           coalesce(t.last_used_at > now() - interval '1 minute', false) AS used_lately,
           u.id AS user_id, u.tenant_id, s.status
    FROM personal_access_tokens t
    JOIN users u ON u.id = t.tokenable_id AND u.deleted_at IS NULL
    JOIN tenants s ON s.id = u.tenant_id
    WHERE t.id = $1 AND t.tokenable_type = 'user'`);
  const touchToken = query("touch", `
    UPDATE personal_access_tokens SET last_used_at = now(), updated_at = now()
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= now() - interval '1 minute')`);
  const countUnread = query("unread", `
    SELECT count(*) FROM notifications
    WHERE tenant_id = $1 AND user_id = $2 AND channel = 'in_app' AND read_at IS NULL`);
  const countAll = query("total", `
    SELECT count(*) FROM notifications WHERE tenant_id = $1 AND user_id = $2 AND channel = 'in_app'`);
  const listPage = query("page", `
    SELECT id, user_id, type, channel, title, message, data, action_url, icon, read_at, sent_at, created_at
    FROM notifications WHERE tenant_id = $1 AND user_id = $2 AND channel = 'in_app'
    ORDER BY created_at DESC, id DESC LIMIT $3 OFFSET $4`);

  // -- who asks --------------------------------------------------------------------

  const no = (status, message) => Object.assign(new Error(message), { statusCode: status });
  const authenticate = async (request) => {
    const header = request.headers.authorization ?? "";
    const bar = header.indexOf("|");
    const id = header.slice(7, bar);
    if (!/^bearer /i.test(header) || bar < 0 || !/^[1-9]\d{0,18}$/.test(id)) throw no(401, "Unauthenticated.");
    const hash = createHash("sha256").update(header.slice(bar + 1)).digest("hex");
    const token = (await findToken([id])).rows[0];
    if (!token || token.token.length !== hash.length
        || !timingSafeEqual(Buffer.from(token.token), Buffer.from(hash)) || token.expired)
      throw no(401, "Unauthenticated.");
    if (!token.used_lately) await touchToken([token.id]);
    if (token.status !== "active" && token.status !== "pending") throw no(403, "Your organisation is suspended.");
    request.caller = token;
  };

  // -- the routes --------------------------------------------------------------------

  const app = fastify({ logger: false });
  app.decorateRequest("caller", null);
  app.setErrorHandler((error, request, reply) => {
    reply.code(error.statusCode ?? 500).send({ success: false, message: error.message });
  });
  const answers = (good) => ({ response: { 200: good, "4xx": refused, "5xx": refused } });
  app.get("/api/v1/notifications/unread-count", { onRequest: authenticate, schema: answers(count) }, async (request) => {
    const { tenant_id, user_id } = request.caller;
    const { rows } = await countUnread([tenant_id, user_id]);
    return { success: true, message: "OK", data: { count: rows[0].count } };
  });
  const querystring = object({
    page: { type: "integer", minimum: 1, default: 1 },
    per_page: { type: "integer", minimum: 1, maximum: 100, default: 20 },
  });
  app.get("/api/v1/notifications", { onRequest: authenticate, schema: { querystring, ...answers(page) } }, async (request) => {
    const { tenant_id, user_id } = request.caller;
    const { page, per_page } = request.query;
    const offset = (page - 1) * per_page;
    // Two connections at once.
    const [counted, { rows }] = await Promise.all([
      countAll([tenant_id, user_id]),
      listPage([tenant_id, user_id, per_page, offset]),
    ]);
    const total = counted.rows[0].count;
    const last = Math.max(1, Math.ceil(total / per_page));
    const link = (to) => {
      const base = `http://${request.headers.host}/api/v1/notifications?`;
      return (request.query.per_page === 20 ? base : `${base}per_page=${per_page}&`) + `page=${to}`;
    };
    return {
      success: true,
      message: "OK",
      data: rows.map(present),
      meta: {
        current_page: page, last_page: last, per_page, total,
        from: rows.length ? offset + 1 : null, to: rows.length ? offset + rows.length : null,
      },
      links: {
        first: link(1), last: link(last),
        prev: page > 1 ? link(Math.min(page - 1, last)) : null, next: page < last ? link(page + 1) : null,
      },
    };
  });

  await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT ?? 0) });
  if (workers === 1) console.log(`listening ${app.server.address().port}`);
  process.on("SIGTERM", async () => {
    await app.close();
    await pool.end();
    process.exit(0);
  });
}
