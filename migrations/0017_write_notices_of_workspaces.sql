-- 0017_write_notices_of_workspaces.sql
-- Why: what is published in many workspaces at one instant is recorded in few
-- transactions, so the notices of several tenants and types are written by one
-- statement. What goes with one of them goes with the n-th of each array.
-- Lock: none on tables. Backfill: none. Nodes of the release before call what
-- 0003 and 0011 made; those are the same by other names now.

-- As delivery_facts of 0003, for these users of these tenants and types. IS TRUE
-- leaves the choice to the user's key: a tenant may have many.
CREATE FUNCTION carillon.delivery_facts(tenant_ids uuid[], user_ids uuid[], types text[], at timestamptz)
  RETURNS TABLE (user_id uuid, type text, category text, is_urgent boolean, overrides boolean,
                 in_app boolean, email boolean, push boolean, sms boolean,
                 email_obstacle text, push_obstacle text, sms_obstacle text,
                 quiet_until timestamptz, quiet_reason text, digest_at timestamptz, digest_reason text)
  LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT u.id, t.type, t.category, t.is_urgent, t.overrides_opt_out,
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
  FROM unnest(tenant_ids, user_ids, types) AS wanted (tenant_id, user_id, type)
  JOIN carillon.users u ON u.id = wanted.user_id AND (u.tenant_id = wanted.tenant_id) IS TRUE
  JOIN carillon.notification_types t ON t.type = wanted.type
  LEFT JOIN carillon.notification_preferences p
    ON p.user_id = u.id AND p.notification_type = t.type AND (p.tenant_id = u.tenant_id) IS TRUE
  LEFT JOIN carillon.mail_suppressions s ON s.tenant_id = u.tenant_id AND s.address = lower(u.email)
  LEFT JOIN carillon.notification_settings q
    ON q.user_id = u.id AND (q.tenant_id = u.tenant_id) IS TRUE
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

CREATE OR REPLACE FUNCTION carillon.delivery_facts(tenant_id uuid, user_ids uuid[], type text, at timestamptz)
  RETURNS TABLE (user_id uuid, category text, is_urgent boolean, overrides boolean,
                 in_app boolean, email boolean, push boolean, sms boolean,
                 email_obstacle text, push_obstacle text, sms_obstacle text,
                 quiet_until timestamptz, quiet_reason text, digest_at timestamptz, digest_reason text)
  LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT f.user_id, f.category, f.is_urgent, f.overrides, f.in_app, f.email, f.push, f.sms,
         f.email_obstacle, f.push_obstacle, f.sms_obstacle, f.quiet_until, f.quiet_reason, f.digest_at, f.digest_reason
  FROM carillon.delivery_facts(array_fill(delivery_facts.tenant_id, ARRAY[cardinality(user_ids)]), user_ids,
                               array_fill(delivery_facts.type, ARRAY[cardinality(user_ids)]), at) f;
END;

-- The delivery rows of stored notifications and a job for each channel that is
-- used. The workspaces in which a job is due now.
CREATE FUNCTION carillon.write_deliveries(
    tenant_ids uuid[], workspace_ids uuid[], types text[], ids uuid[], user_ids uuid[], correlation_ids text[],
    in_app_only boolean)
  RETURNS uuid[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  fact_tenants uuid[];
  fact_users uuid[];
  fact_types text[];
  due uuid[];
BEGIN
  SELECT array_agg(w.tenant_id), array_agg(w.user_id), array_agg(w.type) INTO fact_tenants, fact_users, fact_types
  FROM (SELECT DISTINCT * FROM unnest(write_deliveries.tenant_ids, write_deliveries.user_ids, write_deliveries.types)
                                 AS w (tenant_id, user_id, type)) w;
  WITH plan AS MATERIALIZED (
    SELECT w.tenant_id, w.workspace_id, w.id, w.correlation_id, f.user_id, f.category, d.channel, d.state, d.reason,
           d.until, d.in_digest
    FROM unnest(write_deliveries.tenant_ids, write_deliveries.workspace_ids, write_deliveries.types,
                write_deliveries.ids, write_deliveries.user_ids, write_deliveries.correlation_ids)
           AS w (tenant_id, workspace_id, type, id, user_id, correlation_id)
    JOIN carillon.delivery_facts(fact_tenants, fact_users, fact_types, now()) f USING (user_id, type)
    CROSS JOIN LATERAL carillon.decide_channels(
      f.is_urgent, f.overrides, write_deliveries.in_app_only, f.in_app, f.email, f.push, f.sms,
      f.email_obstacle, f.push_obstacle, f.sms_obstacle,
      f.quiet_until, f.quiet_reason, f.digest_at, f.digest_reason) d
  ), delivered AS (
    INSERT INTO carillon.notification_deliveries
      (notification_id, channel, tenant_id, state, reason, deferred_until, digest_key, sent_at)
    SELECT id, channel, tenant_id, state, reason, until,
           CASE WHEN in_digest THEN user_id || ':' || category END,
           CASE WHEN state = 'sent' THEN now() END
    FROM plan
  ), queued AS (
    INSERT INTO carillon.jobs
      (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, run_at, unique_key, retention,
       correlation_id)
    SELECT carillon.uuid_v7(), 'send_notification_' || p.channel, coalesce(k.queue, 'default'),
           p.tenant_id, p.workspace_id, coalesce(k.priority, 5),
           jsonb_build_object('v', 1, 'notification_id', p.id), coalesce(k.max_attempts, 3),
           coalesce(p.until, now()), 'notification-' || p.channel || '-' || p.id, coalesce(k.retention, 'standard'),
           p.correlation_id
    FROM plan p LEFT JOIN carillon.job_kinds k ON k.kind = 'send_notification_' || p.channel
    WHERE p.state IN ('queued', 'deferred') AND NOT p.in_digest
    RETURNING workspace_id, run_at
  ), digests AS (
    -- One per user, category and window, in one order, so that two of these
    -- never deadlock. A digest that is being composed runs once more.
    INSERT INTO carillon.jobs AS j
      (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts, run_at, unique_key, retention,
       correlation_id)
    SELECT carillon.uuid_v7(), 'send_notification_digest', coalesce(k.queue, 'default'), p.tenant_id, p.tenant_id,
           coalesce(k.priority, 6),
           jsonb_build_object('v', 1, 'user_id', p.user_id, 'category', p.category, 'until', p.until),
           coalesce(k.max_attempts, 3), p.until,
           'digest-' || p.user_id || '-' || p.category || '-' || extract(epoch FROM p.until)::bigint,
           coalesce(k.retention, 'standard'), p.correlation_id
    FROM (SELECT tenant_id, user_id, category, until, min(correlation_id) AS correlation_id
          FROM plan WHERE in_digest GROUP BY tenant_id, user_id, category, until ORDER BY user_id, category, until) p
    LEFT JOIN carillon.job_kinds k ON k.kind = 'send_notification_digest'
    ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO UPDATE
      SET revision = j.revision + 1, updated_at = now()
  )
  SELECT array_agg(DISTINCT workspace_id) INTO due FROM queued WHERE run_at <= now();
  RETURN coalesce(due, '{}');
END $$;

CREATE OR REPLACE FUNCTION carillon.write_deliveries(
    tenant_id uuid, workspace_id uuid, type text, ids uuid[], user_ids uuid[],
    correlation_ids text[], in_app_only boolean)
  RETURNS boolean LANGUAGE sql SET search_path = pg_catalog, pg_temp
  RETURN cardinality(carillon.write_deliveries(
    array_fill(write_deliveries.tenant_id, ARRAY[cardinality(write_deliveries.ids)]),
    array_fill(write_deliveries.workspace_id, ARRAY[cardinality(write_deliveries.ids)]),
    array_fill(write_deliveries.type, ARRAY[cardinality(write_deliveries.ids)]),
    write_deliveries.ids, write_deliveries.user_ids, write_deliveries.correlation_ids,
    write_deliveries.in_app_only)) > 0;

-- The service's `send` of several notices, each to one user of its tenant with
-- a text of its own; due: a job is due in its workspace. No row for a user who
-- is not the tenant's.
CREATE FUNCTION carillon.write_notices(
    tenant_ids uuid[], workspace_ids uuid[], types text[], user_ids uuid[], titles text[], messages text[],
    data jsonb[], action_urls text[], correlation_ids text[])
  RETURNS TABLE (n bigint, id uuid, read_at timestamptz, created_at timestamptz, due boolean)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  numbers bigint[];
  new_ids uuid[];
  new_tenants uuid[];
  new_workspaces uuid[];
  new_types text[];
  new_users uuid[];
  reads timestamptz[];
  correlations text[];
  due_in uuid[];
BEGIN
  PERFORM carillon.check_notification('carillon.write_notices', w.type, w.title, w.message, w.data)
  FROM unnest(write_notices.types, write_notices.titles, write_notices.messages, write_notices.data)
         AS w (type, title, message, data);
  WITH wanted AS MATERIALIZED (
    SELECT w.n, carillon.uuid_v7() AS id, u.tenant_id, coalesce(w.workspace_id, u.tenant_id) AS workspace_id,
           t.type, u.id AS user_id, w.title, w.message, w.data, w.action_url, w.correlation_id,
           CASE WHEN NOT carillon.shows_in_app(p.in_app_enabled, t.overrides_opt_out) THEN now() END AS read_at
    FROM unnest(write_notices.tenant_ids, write_notices.workspace_ids, write_notices.types, write_notices.user_ids,
                write_notices.titles, write_notices.messages, write_notices.data, write_notices.action_urls,
                write_notices.correlation_ids)
           WITH ORDINALITY
           AS w (tenant_id, workspace_id, type, user_id, title, message, data, action_url, correlation_id, n)
    JOIN carillon.users u ON u.id = w.user_id AND (u.tenant_id = w.tenant_id) IS TRUE
    JOIN carillon.notification_types t ON t.type = w.type
    LEFT JOIN carillon.notification_preferences p
      ON p.user_id = u.id AND p.notification_type = t.type AND (p.tenant_id = u.tenant_id) IS TRUE
  ), stored AS (
    INSERT INTO carillon.notifications
      (id, tenant_id, user_id, type, channel, title, message, data, action_url, read_at)
    SELECT id, tenant_id, user_id, type, 'in_app', left(title, 200), message, data,
           carillon.client_path(action_url), read_at
    FROM wanted
  )
  SELECT array_agg(n), array_agg(id), array_agg(tenant_id), array_agg(workspace_id), array_agg(type),
         array_agg(user_id), array_agg(read_at), array_agg(correlation_id)
  INTO numbers, new_ids, new_tenants, new_workspaces, new_types, new_users, reads, correlations FROM wanted;
  IF new_ids IS NULL THEN
    RETURN;
  END IF;
  due_in := carillon.write_deliveries(new_tenants, new_workspaces, new_types, new_ids, new_users, correlations, false);
  RETURN QUERY SELECT w.n, w.id, w.read_at, now(), w.workspace_id = ANY (due_in)
               FROM unnest(numbers, new_ids, reads, new_workspaces) AS w (n, id, read_at, workspace_id) ORDER BY w.n;
END $$;

CREATE OR REPLACE FUNCTION carillon.write_notices(
    tenant_id uuid, workspace_id uuid, type text, user_ids uuid[], titles text[], messages text[], data jsonb[],
    action_urls text[], correlation_ids text[])
  RETURNS TABLE (n bigint, id uuid, read_at timestamptz, created_at timestamptz, due boolean)
  LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT w.n, w.id, w.read_at, w.created_at, w.due
  FROM carillon.write_notices(array_fill(write_notices.tenant_id, ARRAY[cardinality(user_ids)]),
                              array_fill(write_notices.workspace_id, ARRAY[cardinality(user_ids)]),
                              array_fill(write_notices.type, ARRAY[cardinality(user_ids)]),
                              user_ids, titles, messages, data, action_urls, correlation_ids) w;
END;
