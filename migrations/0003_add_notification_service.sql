-- 0003_add_notification_service.sql
-- Why: which channel a notification goes out on, and why not, is decided in
-- one place that C++ and other programs share (docs/notifications.md); quiet
-- hours, digests, suppressed addresses, sends to a whole tenant.
-- Lock: ACCESS EXCLUSIVE on notification_deliveries while its CHECK is
-- verified (one scan), SHARE on users while an index is built.
-- Backfill: none; older notifications keep the delivery rows that they have.

-- What the program says of each type (domain/notification_type.hpp,
-- domain/delivery_decision.hpp; a test compares).
CREATE TABLE carillon.notification_types (
  type varchar(50) PRIMARY KEY,
  category varchar(20) NOT NULL,
  -- Passes quiet hours and digests.
  is_urgent boolean NOT NULL,
  -- In-app and e-mail go out also when they are off by preference.
  overrides_opt_out boolean NOT NULL DEFAULT false
);
INSERT INTO carillon.notification_types (type, category, is_urgent, overrides_opt_out) VALUES
  ('post_submitted', 'content', false, false),
  ('post_approved', 'content', false, false),
  ('post_rejected', 'content', false, false),
  ('post_published', 'content', false, false),
  ('post_failed', 'content', true, false),
  ('post_scheduled', 'content', false, false),
  ('new_comment', 'engagement', false, false),
  ('new_mention', 'engagement', false, false),
  ('inbox_assigned', 'engagement', false, false),
  ('invitation_received', 'team', false, false),
  ('invitation_accepted', 'team', false, false),
  ('member_added', 'team', false, false),
  ('member_removed', 'team', false, false),
  ('role_changed', 'team', false, false),
  ('subscription_created', 'billing', false, false),
  ('subscription_renewed', 'billing', false, false),
  ('subscription_cancelled', 'billing', false, false),
  ('payment_failed', 'billing', true, false),
  ('trial_ending', 'billing', false, false),
  ('trial_ended', 'billing', true, false),
  ('account_connected', 'social', false, false),
  ('account_disconnected', 'social', false, false),
  ('account_token_expiring', 'social', false, false),
  ('account_token_expired', 'social', true, false),
  ('ticket_created', 'support', false, false),
  ('ticket_replied', 'support', false, false),
  ('ticket_resolved', 'support', false, false),
  ('data_export_ready', 'data', false, false),
  ('data_deletion_scheduled', 'data', true, true),
  ('data_deletion_completed', 'data', false, false),
  ('system_announcement', 'system', false, false),
  ('maintenance_scheduled', 'system', false, false);

-- A user's quiet hours and digests; no row: neither.
CREATE TABLE carillon.notification_settings (
  user_id uuid PRIMARY KEY REFERENCES carillon.users ON DELETE CASCADE,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  quiet_enabled boolean NOT NULL DEFAULT false,
  -- On the wall clock of the user's zone; the end is outside. A window that
  -- ends before it starts goes over midnight.
  quiet_start time NOT NULL DEFAULT '22:00',
  quiet_end time NOT NULL DEFAULT '07:00' CHECK (quiet_end <> quiet_start),
  -- Category -> 'hourly' or 'daily'; a category that is missing: off.
  digests jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(digests) = 'object'),
  digest_hour smallint NOT NULL DEFAULT 8 CHECK (digest_hour BETWEEN 0 AND 23),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Addresses that refused mail for good. Compared in lower case.
CREATE TABLE carillon.mail_suppressions (
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  address varchar(255) NOT NULL CHECK (address = lower(address)),
  reason varchar(255) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, address)
);

-- One mail about several notifications; what it tells of are the delivery
-- rows that name it.
CREATE TABLE carillon.notification_digests (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES carillon.users ON DELETE CASCADE,
  category varchar(20) NOT NULL,
  -- The unique key of its job.
  job_key varchar(255) NOT NULL,
  state varchar(20) NOT NULL DEFAULT 'composed' CHECK (state IN ('composed', 'sent', 'skipped', 'failed')),
  reason varchar(255),
  attempts int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  concluded_at timestamptz
);
-- At most one that is composed and not yet sent.
CREATE UNIQUE INDEX notification_digests_composed_index ON carillon.notification_digests (job_key)
  WHERE state = 'composed';
CREATE INDEX notification_digests_tenant_id_index ON carillon.notification_digests (tenant_id, created_at);
CREATE INDEX notification_digests_user_id_index ON carillon.notification_digests (user_id);

ALTER TABLE carillon.notification_deliveries
  -- The tenant goes by way of its notifications: this key cost a look-up per
  -- row and guarded nothing that the other does not.
  DROP CONSTRAINT notification_deliveries_tenant_id_fkey,
  DROP CONSTRAINT notification_deliveries_state_check,
  ADD CONSTRAINT notification_deliveries_state_check
    CHECK (state IN ('queued', 'deferred', 'sent', 'skipped', 'failed')),
  ADD COLUMN deferred_until timestamptz,
  -- `<user>:<category>` while it waits for a digest, and after.
  ADD COLUMN digest_key varchar(100),
  ADD COLUMN digest_id uuid REFERENCES carillon.notification_digests ON DELETE SET NULL,
  -- Tries that were begun, also one that a crash cut short.
  ADD COLUMN attempts int NOT NULL DEFAULT 0,
  ADD COLUMN attempted_at timestamptz,
  ADD COLUMN sent_at timestamptz;
CREATE INDEX notification_deliveries_digest_index ON carillon.notification_deliveries (digest_key, deferred_until)
  WHERE state = 'deferred' AND digest_key IS NOT NULL;
CREATE INDEX notification_deliveries_digest_id_index ON carillon.notification_deliveries (digest_id)
  WHERE digest_id IS NOT NULL;

-- A send to all active users of a tenant, and how far it is. First all
-- in-app rows are written, then what the other channels need; the ids of its
-- notifications are its own with a number in the last four bytes.
CREATE TABLE carillon.notification_broadcasts (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  workspace_id uuid NOT NULL,
  type varchar(50) NOT NULL,
  title varchar(200) NOT NULL,
  message text NOT NULL,
  data jsonb,
  action_url varchar(255),
  correlation_id varchar(64),
  state varchar(20) NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'delivering', 'done')),
  last_user_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  written int NOT NULL DEFAULT 0,
  delivered int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  written_at timestamptz,
  finished_at timestamptz
);
CREATE INDEX notification_broadcasts_tenant_id_index ON carillon.notification_broadcasts (tenant_id, created_at);
-- A broadcast walks a tenant's users by id.
CREATE INDEX users_tenant_id_id_index ON carillon.users (tenant_id, id);

-- Requests of other programs that must not happen twice.
CREATE TABLE carillon.notification_requests (
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  idempotency_key varchar(255) NOT NULL,
  -- SHA-256 of what was asked: the same key with another request is refused.
  fingerprint varchar(64) NOT NULL,
  answer jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, idempotency_key)
);
CREATE INDEX notification_requests_created_at_index ON carillon.notification_requests (created_at);

-- Known before the first node of this release has started.
INSERT INTO carillon.job_kinds (kind, queue, priority, max_attempts) VALUES
  ('send_notification_email', 'notifications', 5, 3),
  ('send_notification_digest', 'notifications', 6, 3),
  ('send_notification_push', 'notifications', 5, 3),
  ('send_notification_sms', 'notifications', 5, 3),
  ('send_tenant_notification', 'notifications', 5, 3)
ON CONFLICT (kind) DO NOTHING;
UPDATE carillon.job_kinds SET on_conflict = 'rerun' WHERE kind = 'send_notification_digest';

-- -- when ----------------------------------------------------------------------

-- The first of the names that PostgreSQL knows as a zone, else UTC.
CREATE FUNCTION carillon.first_time_zone(VARIADIC names text[]) RETURNS text
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY names LOOP
    CONTINUE WHEN name IS NULL OR name !~ '^[A-Za-z]+[A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$';
    BEGIN
      PERFORM now() AT TIME ZONE name;
      RETURN name;
    EXCEPTION WHEN invalid_parameter_value THEN
      NULL;
    END;
  END LOOP;
  RETURN 'UTC';
END $$;

-- The first instant after `at` when the wall clock of `zone` shows `wall`. A
-- time in a gap moves forward by it; of a time that comes twice it is the
-- second, so that a window is not left and entered again within the hour.
CREATE FUNCTION carillon.next_wall_time(at timestamptz, zone text, wall time) RETURNS timestamptz
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN ((at AT TIME ZONE zone)::date
          + CASE WHEN (at AT TIME ZONE zone)::time < wall THEN 0 ELSE 1 END + wall) AT TIME ZONE zone;

-- When the quiet hours end in which `at` lies; null when it lies in none.
CREATE FUNCTION carillon.quiet_until(at timestamptz, zone text, quiet_start time, quiet_end time)
  RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN CASE WHEN quiet_start < quiet_end
                        THEN (at AT TIME ZONE zone)::time >= quiet_start AND (at AT TIME ZONE zone)::time < quiet_end
                        ELSE (at AT TIME ZONE zone)::time >= quiet_start OR (at AT TIME ZONE zone)::time < quiet_end END
              THEN carillon.next_wall_time(at, zone, quiet_end) END;

-- When the digest goes out that takes what comes at `at`; null without one.
CREATE FUNCTION carillon.next_digest(at timestamptz, zone text, period text, digest_hour int)
  RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE period
    WHEN 'hourly' THEN at + interval '1 hour'
                       - ((at AT TIME ZONE zone) - date_trunc('hour', at AT TIME ZONE zone))
    WHEN 'daily' THEN carillon.next_wall_time(at, zone, make_time(digest_hour, 0, 0)) END;

-- -- whether -------------------------------------------------------------------

-- Why a channel cannot reach a user at all; null when it can.
CREATE FUNCTION carillon.push_obstacle(tenant_id uuid, user_id uuid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE RETURN 'not available in this version'::text;
CREATE FUNCTION carillon.sms_obstacle(tenant_id uuid, user_id uuid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE RETURN 'not available in this version'::text;

-- The in-app rule by itself: sends to a tenant need it before the others.
CREATE FUNCTION carillon.shows_in_app(preferred boolean, overrides boolean) RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN coalesce(preferred, true) OR coalesce(overrides, false);

-- The decision for every channel, from facts alone. Its twin is
-- decide_delivery of domain/delivery_decision.hpp: a test compares all cases.
-- Obstacles are reasons, null for none.
CREATE FUNCTION carillon.decide_channels(
    is_urgent boolean, overrides boolean, in_app_only boolean,
    in_app boolean, email boolean, push boolean, sms boolean,
    email_obstacle text, push_obstacle text, sms_obstacle text,
    quiet_until timestamptz, quiet_reason text, digest_at timestamptz, digest_reason text)
  RETURNS TABLE (channel text, state text, reason text, until timestamptz, in_digest boolean)
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT c.channel,
         CASE WHEN c.obstacle IS NOT NULL THEN 'skipped'
              WHEN c.channel = 'in_app' THEN 'sent'
              WHEN c.until IS NOT NULL THEN 'deferred'
              ELSE 'queued' END,
         coalesce(c.obstacle, CASE WHEN c.until IS NOT NULL THEN c.why END),
         CASE WHEN c.obstacle IS NULL THEN c.until END,
         c.obstacle IS NULL AND c.until IS NOT NULL AND c.digested
  FROM (
    SELECT 'in_app'::text AS channel,
           CASE WHEN NOT carillon.shows_in_app(in_app, overrides) THEN 'off by preference'::text END AS obstacle,
           NULL::timestamptz AS until, NULL::text AS why, false AS digested
    UNION ALL
    SELECT 'email',
           CASE WHEN in_app_only THEN 'in-app notice'
                WHEN NOT email AND NOT overrides THEN 'off by preference'
                ELSE email_obstacle END,
           CASE WHEN NOT is_urgent THEN coalesce(digest_at, quiet_until) END,
           CASE WHEN digest_at IS NULL THEN quiet_reason ELSE digest_reason END,
           digest_at IS NOT NULL
    UNION ALL
    SELECT 'push',
           CASE WHEN in_app_only THEN 'in-app notice' WHEN NOT push THEN 'off by preference' ELSE push_obstacle END,
           CASE WHEN NOT is_urgent THEN quiet_until END, quiet_reason, false
    UNION ALL
    SELECT 'sms',
           CASE WHEN in_app_only THEN 'in-app notice' WHEN NOT sms THEN 'off by preference' ELSE sms_obstacle END,
           CASE WHEN NOT is_urgent THEN quiet_until END, quiet_reason, false
  ) c;
END;

-- What decides, for these users of a tenant at one moment. No row for a user
-- who is not the tenant's.
CREATE FUNCTION carillon.delivery_facts(tenant_id uuid, user_ids uuid[], type text, at timestamptz)
  RETURNS TABLE (user_id uuid, category text, is_urgent boolean, overrides boolean,
                 in_app boolean, email boolean, push boolean, sms boolean,
                 email_obstacle text, push_obstacle text, sms_obstacle text,
                 quiet_until timestamptz, quiet_reason text, digest_at timestamptz, digest_reason text)
  LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT u.id, t.category, t.is_urgent, t.overrides_opt_out,
         coalesce(p.in_app_enabled, true), coalesce(p.email_enabled, true),
         coalesce(p.push_enabled, false), coalesce(p.sms_enabled, false),
         CASE WHEN u.deleted_at IS NOT NULL OR u.email = '' THEN 'no e-mail address'
              WHEN s.address IS NOT NULL THEN 'address suppressed after bounce' END,
         CASE WHEN p.push_enabled THEN carillon.push_obstacle(u.tenant_id, u.id) END,
         CASE WHEN p.sms_enabled THEN carillon.sms_obstacle(u.tenant_id, u.id) END,
         w.quiet, 'quiet hours until ' || to_char(q.quiet_end, 'HH24:MI'),
         -- A digest that would come in quiet hours comes after them.
         coalesce(CASE WHEN q.quiet_enabled THEN carillon.quiet_until(w.digest, z.zone, q.quiet_start, q.quiet_end) END,
                  w.digest),
         (q.digests ->> t.category) || ' digest at '
           || to_char(coalesce(CASE WHEN q.quiet_enabled
                                    THEN carillon.quiet_until(w.digest, z.zone, q.quiet_start, q.quiet_end) END,
                               w.digest) AT TIME ZONE z.zone, 'HH24:MI')
  FROM unnest(user_ids) AS wanted (id)
  JOIN carillon.users u ON u.id = wanted.id AND u.tenant_id = delivery_facts.tenant_id
  JOIN carillon.notification_types t ON t.type = delivery_facts.type
  LEFT JOIN carillon.notification_preferences p
    ON p.user_id = u.id AND p.notification_type = delivery_facts.type AND p.tenant_id = u.tenant_id
  LEFT JOIN carillon.mail_suppressions s ON s.tenant_id = u.tenant_id AND s.address = lower(u.email)
  LEFT JOIN carillon.notification_settings q
    ON q.user_id = u.id AND q.tenant_id = u.tenant_id
   AND (q.quiet_enabled OR q.digests ->> t.category IN ('hourly', 'daily'))
  LEFT JOIN LATERAL (
    SELECT carillon.first_time_zone(u.timezone, n.settings ->> 'timezone') AS zone
    FROM carillon.tenants n WHERE n.id = u.tenant_id AND q.user_id IS NOT NULL
  ) z ON true
  LEFT JOIN LATERAL (
    SELECT CASE WHEN q.quiet_enabled THEN carillon.quiet_until(at, z.zone, q.quiet_start, q.quiet_end) END AS quiet,
           carillon.next_digest(at, z.zone, q.digests ->> t.category, q.digest_hour) AS digest
  ) w ON z.zone IS NOT NULL;
END;

-- -- writing -------------------------------------------------------------------

-- Tells the owner of the workspace, at commit and once a transaction, that
-- jobs are due.
CREATE FUNCTION carillon.wake_owner(workspace_id uuid) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner text;
BEGIN
  SELECT i.node INTO owner
  FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
  WHERE s.shard = carillon.shard_of(wake_owner.workspace_id) AND i.ended_at IS NULL;
  IF owner IS NOT NULL THEN
    -- The same for every job: PostgreSQL sends equal ones once a transaction.
    PERFORM pg_notify('carillon_' || left(owner, 54), '1 sweep ');
  END IF;
END $$;

-- The delivery rows of stored notifications, ids[n] for user_ids[n], and a
-- job for each channel that is used. True when a job is due now.
CREATE FUNCTION carillon.write_deliveries(
    tenant_id uuid, workspace_id uuid, type text, ids uuid[], user_ids uuid[],
    correlation_id text, in_app_only boolean)
  RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  due boolean;
BEGIN
  WITH plan AS MATERIALIZED (
    SELECT w.id, f.user_id, f.category, d.channel, d.state, d.reason, d.until, d.in_digest
    FROM unnest(write_deliveries.ids, write_deliveries.user_ids) AS w (id, user_id)
    JOIN carillon.delivery_facts(write_deliveries.tenant_id, write_deliveries.user_ids,
                                 write_deliveries.type, now()) f USING (user_id)
    CROSS JOIN LATERAL carillon.decide_channels(
      f.is_urgent, f.overrides, write_deliveries.in_app_only, f.in_app, f.email, f.push, f.sms,
      f.email_obstacle, f.push_obstacle, f.sms_obstacle,
      f.quiet_until, f.quiet_reason, f.digest_at, f.digest_reason) d
  ), delivered AS (
    INSERT INTO carillon.notification_deliveries
      (notification_id, channel, tenant_id, state, reason, deferred_until, digest_key, sent_at)
    SELECT id, channel, write_deliveries.tenant_id, state, reason, until,
           CASE WHEN in_digest THEN user_id || ':' || category END,
           CASE WHEN state = 'sent' THEN now() END
    FROM plan
  ), queued AS (
    INSERT INTO carillon.jobs
      (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, run_at, unique_key, retention,
       correlation_id)
    SELECT carillon.uuid_v7(), 'send_notification_' || p.channel, coalesce(k.queue, 'default'),
           write_deliveries.tenant_id, write_deliveries.workspace_id, coalesce(k.priority, 5),
           jsonb_build_object('v', 1, 'notification_id', p.id), coalesce(k.max_attempts, 3),
           coalesce(p.until, now()), 'notification-' || p.channel || '-' || p.id, coalesce(k.retention, 'standard'),
           write_deliveries.correlation_id
    FROM plan p LEFT JOIN carillon.job_kinds k ON k.kind = 'send_notification_' || p.channel
    WHERE p.state IN ('queued', 'deferred') AND NOT p.in_digest
    RETURNING run_at
  ), digests AS (
    -- One per user, category and window, in one order, so that two of these
    -- never deadlock. A digest that is being composed runs once more.
    INSERT INTO carillon.jobs AS j
      (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, run_at, unique_key, retention,
       correlation_id)
    SELECT carillon.uuid_v7(), 'send_notification_digest', coalesce(k.queue, 'default'),
           write_deliveries.tenant_id, write_deliveries.tenant_id, coalesce(k.priority, 6),
           jsonb_build_object('v', 1, 'user_id', p.user_id, 'category', p.category, 'until', p.until),
           coalesce(k.max_attempts, 3), p.until,
           'digest-' || p.user_id || '-' || p.category || '-' || extract(epoch FROM p.until)::bigint,
           coalesce(k.retention, 'standard'), write_deliveries.correlation_id
    FROM (SELECT DISTINCT user_id, category, until FROM plan WHERE in_digest ORDER BY user_id) p
    LEFT JOIN carillon.job_kinds k ON k.kind = 'send_notification_digest'
    ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO UPDATE
      SET revision = j.revision + 1, updated_at = now()
  )
  SELECT bool_or(run_at <= now()) INTO due FROM queued;
  RETURN coalesce(due, false);
END $$;

-- What leads the client away from itself, or does not fit, is left out.
CREATE FUNCTION carillon.client_path(url text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE WHEN url LIKE '/%' AND url NOT LIKE '//%' AND length(url) <= 255 THEN url END;

-- Refuses what no notification can hold.
CREATE FUNCTION carillon.check_notification(caller text, type text, title text, message text, data jsonb)
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM carillon.notification_types t WHERE t.type = check_notification.type) THEN
    RAISE EXCEPTION '%: there is no notification type %', caller, coalesce(type, 'null') USING ERRCODE = '22023';
  END IF;
  IF title IS NULL OR message IS NULL THEN
    RAISE EXCEPTION '%: title and message are required', caller USING ERRCODE = '22023';
  END IF;
  IF length(message) > 100000 THEN
    RAISE EXCEPTION '%: message is longer than 100,000 characters', caller USING ERRCODE = '22023';
  END IF;
  IF data IS NOT NULL AND jsonb_typeof(data) <> 'object' THEN
    RAISE EXCEPTION '%: data must be a JSON object', caller USING ERRCODE = '22023';
  END IF;
  IF octet_length(data::text) > 262144 THEN
    RAISE EXCEPTION '%: data is larger than 256 KiB', caller USING ERRCODE = '22023';
  END IF;
END $$;

-- The service's `send`, for each of the users that are the tenant's: the row
-- (always; already read when in-app is off), its delivery rows, its jobs. All
-- in the caller's transaction; nobody is told of it here.
CREATE FUNCTION carillon.write_notifications(
    tenant_id uuid, user_ids uuid[], type text, title text, message text, data jsonb, action_url text,
    workspace_id uuid, correlation_id text, in_app_only boolean)
  RETURNS TABLE (id uuid, user_id uuid, read_at timestamptz, created_at timestamptz, due boolean)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  new_ids uuid[];
  new_users uuid[];
  is_due boolean;
BEGIN
  PERFORM carillon.check_notification('carillon.write_notifications', write_notifications.type,
                                      write_notifications.title, write_notifications.message,
                                      write_notifications.data);
  WITH stored AS (
    INSERT INTO carillon.notifications
      (id, tenant_id, user_id, type, channel, title, message, data, action_url, read_at)
    SELECT carillon.uuid_v7(), u.tenant_id, u.id, t.type, 'in_app', left(write_notifications.title, 200),
           write_notifications.message, write_notifications.data, carillon.client_path(write_notifications.action_url),
           CASE WHEN NOT carillon.shows_in_app(p.in_app_enabled, t.overrides_opt_out) THEN now() END
    FROM unnest(write_notifications.user_ids) AS w (id)
    JOIN carillon.users u ON u.id = w.id AND u.tenant_id = write_notifications.tenant_id
    JOIN carillon.notification_types t ON t.type = write_notifications.type
    LEFT JOIN carillon.notification_preferences p
      ON p.user_id = u.id AND p.notification_type = t.type AND p.tenant_id = u.tenant_id
    RETURNING id, user_id
  )
  SELECT array_agg(id ORDER BY id), array_agg(user_id ORDER BY id) INTO new_ids, new_users FROM stored;
  IF new_ids IS NULL THEN
    RETURN;
  END IF;
  is_due := carillon.write_deliveries(
    write_notifications.tenant_id, coalesce(write_notifications.workspace_id, write_notifications.tenant_id),
    write_notifications.type, new_ids, new_users, write_notifications.correlation_id,
    write_notifications.in_app_only);
  RETURN QUERY SELECT n.id, n.user_id, n.read_at, n.created_at, is_due
               FROM carillon.notifications n WHERE n.id = ANY (new_ids) ORDER BY n.id;
END $$;

-- The send to a whole tenant, as a row and the job that carries it out.
CREATE FUNCTION carillon.start_broadcast(
    tenant_id uuid, type text, title text, message text, data jsonb, action_url text,
    workspace_id uuid, correlation_id text)
  RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  broadcast uuid := carillon.uuid_v7();
  home uuid := coalesce(start_broadcast.workspace_id, start_broadcast.tenant_id);
BEGIN
  PERFORM carillon.check_notification('carillon.start_broadcast', start_broadcast.type, start_broadcast.title,
                                      start_broadcast.message, start_broadcast.data);
  INSERT INTO carillon.notification_broadcasts
    (id, tenant_id, workspace_id, type, title, message, data, action_url, correlation_id)
  VALUES (broadcast, start_broadcast.tenant_id, home, start_broadcast.type, left(start_broadcast.title, 200),
          start_broadcast.message, start_broadcast.data, carillon.client_path(start_broadcast.action_url),
          start_broadcast.correlation_id);
  INSERT INTO carillon.jobs
    (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, unique_key, retention, correlation_id)
  SELECT carillon.uuid_v7(), 'send_tenant_notification', coalesce(k.queue, 'default'), start_broadcast.tenant_id, home,
         coalesce(k.priority, 5), jsonb_build_object('v', 1, 'broadcast_id', broadcast),
         coalesce(k.max_attempts, 3), 'broadcast-' || broadcast, coalesce(k.retention, 'standard'),
         start_broadcast.correlation_id
  FROM (VALUES (1)) one LEFT JOIN carillon.job_kinds k ON k.kind = 'send_tenant_notification';
  RETURN broadcast;
END $$;

-- The id of a broadcast's notification `number`.
CREATE FUNCTION carillon.broadcast_item(broadcast uuid, number int) RETURNS uuid
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN encode(substring(uuid_send(broadcast) FROM 1 FOR 12) || int4send(number), 'hex')::uuid;

-- The next part of a broadcast: at most `most` in-app rows, or what the other
-- channels of as many need. The row that says how far it is changes in the
-- same transaction: whoever runs it, and however often it is cut short, no
-- user gets it twice and none is left out.
CREATE FUNCTION carillon.continue_broadcast(tenant_id uuid, broadcast_id uuid, most int)
  RETURNS TABLE (state text, written int, delivered int, due boolean)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  b carillon.notification_broadcasts;
  users uuid[];
  ids uuid[];
  is_due boolean := false;
BEGIN
  SELECT * INTO b FROM carillon.notification_broadcasts x
  WHERE x.id = continue_broadcast.broadcast_id AND x.tenant_id = continue_broadcast.tenant_id FOR UPDATE;
  IF b.id IS NULL THEN
    RETURN;
  END IF;
  IF b.state = 'writing' THEN
    SELECT array_agg(u.id ORDER BY u.id) INTO users
    FROM (SELECT u.id FROM carillon.users u
          WHERE u.tenant_id = b.tenant_id AND u.id > b.last_user_id AND u.status = 'active' AND u.deleted_at IS NULL
          ORDER BY u.id LIMIT continue_broadcast.most) u;
    IF users IS NULL THEN
      b.state := 'delivering';
      b.written_at := clock_timestamp();
    ELSE
      INSERT INTO carillon.notifications
        (id, tenant_id, user_id, type, channel, title, message, data, action_url, read_at, created_at)
      SELECT carillon.broadcast_item(b.id, (b.written + w.number)::int), b.tenant_id, w.id, b.type, 'in_app', b.title,
             b.message, b.data, b.action_url,
             CASE WHEN NOT carillon.shows_in_app(p.in_app_enabled, t.overrides_opt_out) THEN now() END, now()
      FROM unnest(users) WITH ORDINALITY AS w (id, number)
      JOIN carillon.notification_types t ON t.type = b.type
      LEFT JOIN carillon.notification_preferences p
        ON p.user_id = w.id AND p.notification_type = b.type AND p.tenant_id = b.tenant_id
      ORDER BY w.number;
      b.written := b.written + cardinality(users);
      b.last_user_id := users[cardinality(users)];
    END IF;
  ELSIF b.state = 'delivering' THEN
    SELECT array_agg(n.id), array_agg(n.user_id) INTO ids, users
    FROM carillon.notifications n
    WHERE n.id > carillon.broadcast_item(b.id, b.delivered)
      AND n.id <= carillon.broadcast_item(b.id, least(b.written, b.delivered + continue_broadcast.most))
      AND n.tenant_id = b.tenant_id;
    IF ids IS NOT NULL THEN
      is_due := carillon.write_deliveries(b.tenant_id, b.workspace_id, b.type, ids, users, b.correlation_id, false);
    END IF;
    b.delivered := least(b.written, b.delivered + continue_broadcast.most);
    IF b.delivered = b.written THEN
      b.state := 'done';
      b.finished_at := clock_timestamp();
    END IF;
  END IF;
  UPDATE carillon.notification_broadcasts x
  SET state = b.state, last_user_id = b.last_user_id, written = b.written, delivered = b.delivered,
      written_at = b.written_at, finished_at = b.finished_at
  WHERE x.id = b.id;
  RETURN QUERY SELECT b.state::text, b.written, b.delivered, is_due;
END $$;

-- -- for other programs ----------------------------------------------------------

CREATE FUNCTION carillon.check_notification_home(caller text, tenant_id uuid, workspace_id uuid)
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM carillon.tenants t WHERE t.id = check_notification_home.tenant_id) THEN
    RAISE EXCEPTION '%: there is no tenant %', caller, tenant_id USING ERRCODE = '23503';
  END IF;
  IF workspace_id IS NOT NULL AND workspace_id <> tenant_id AND NOT EXISTS (
      SELECT FROM carillon.workspaces w
      WHERE w.id = check_notification_home.workspace_id AND w.tenant_id = check_notification_home.tenant_id) THEN
    RAISE EXCEPTION '%: tenant % has no workspace %', caller, tenant_id, workspace_id USING ERRCODE = '23503';
  END IF;
END $$;

-- Tells one user, in the caller's transaction: rolled back, it never was.
-- What happens is what the program's own service does (docs/notifications.md).
-- Returns the notification's id. title is cut to 200 characters, an
-- action_url that is no path of the client is left out.
CREATE FUNCTION carillon.notify(
    tenant_id uuid, user_id uuid, type text, title text, message text, data jsonb DEFAULT NULL,
    action_url text DEFAULT NULL, workspace_id uuid DEFAULT NULL, correlation_id text DEFAULT NULL)
  RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  told record;
BEGIN
  PERFORM carillon.check_notification_home('carillon.notify', notify.tenant_id, notify.workspace_id);
  IF NOT EXISTS (SELECT FROM carillon.users u
                 WHERE u.id = notify.user_id AND u.tenant_id = notify.tenant_id AND u.deleted_at IS NULL) THEN
    RAISE EXCEPTION 'carillon.notify: tenant % has no user %', notify.tenant_id, notify.user_id
      USING ERRCODE = '23503';
  END IF;
  SELECT * INTO told
  FROM carillon.write_notifications(notify.tenant_id, ARRAY[notify.user_id], notify.type, notify.title,
                                    notify.message, notify.data, notify.action_url, notify.workspace_id,
                                    notify.correlation_id, false);
  IF told.due THEN
    PERFORM carillon.wake_owner(coalesce(notify.workspace_id, notify.tenant_id));
  END IF;
  RETURN told.id;
END $$;

-- Tells every active user of the tenant. Returns the broadcast's id; a job
-- writes the notifications after the commit (notification_broadcasts says how
-- far it is).
CREATE FUNCTION carillon.notify_tenant(
    tenant_id uuid, type text, title text, message text, data jsonb DEFAULT NULL,
    action_url text DEFAULT NULL, workspace_id uuid DEFAULT NULL, correlation_id text DEFAULT NULL)
  RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  broadcast uuid;
BEGIN
  PERFORM carillon.check_notification_home('carillon.notify_tenant', notify_tenant.tenant_id,
                                           notify_tenant.workspace_id);
  broadcast := carillon.start_broadcast(notify_tenant.tenant_id, notify_tenant.type, notify_tenant.title,
                                        notify_tenant.message, notify_tenant.data, notify_tenant.action_url,
                                        notify_tenant.workspace_id, notify_tenant.correlation_id);
  PERFORM carillon.wake_owner(coalesce(notify_tenant.workspace_id, notify_tenant.tenant_id));
  RETURN broadcast;
END $$;
