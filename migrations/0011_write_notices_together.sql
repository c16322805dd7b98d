-- 0011_write_notices_together.sql
-- Why: outcomes of several posts are recorded in one transaction, and what
-- their authors are told is written by one statement: planning and starting it
-- had cost more than its rows.
-- Lock: none on tables. Backfill: none.

-- As in 0003, each with a correlation id of its own, and a user may be there
-- several times.
CREATE FUNCTION carillon.write_deliveries(
    tenant_id uuid, workspace_id uuid, type text, ids uuid[], user_ids uuid[],
    correlation_ids text[], in_app_only boolean)
  RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  people uuid[] := ARRAY(SELECT DISTINCT unnest(write_deliveries.user_ids));
  due boolean;
BEGIN
  WITH plan AS MATERIALIZED (
    SELECT w.id, w.correlation_id, f.user_id, f.category, d.channel, d.state, d.reason, d.until, d.in_digest
    FROM unnest(write_deliveries.ids, write_deliveries.user_ids, write_deliveries.correlation_ids)
           AS w (id, user_id, correlation_id)
    JOIN carillon.delivery_facts(write_deliveries.tenant_id, people, write_deliveries.type, now()) f USING (user_id)
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
           p.correlation_id
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
           coalesce(k.retention, 'standard'), p.correlation_id
    FROM (SELECT user_id, category, until, min(correlation_id) AS correlation_id
          FROM plan WHERE in_digest GROUP BY user_id, category, until ORDER BY user_id) p
    LEFT JOIN carillon.job_kinds k ON k.kind = 'send_notification_digest'
    ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO UPDATE
      SET revision = j.revision + 1, updated_at = now()
  )
  SELECT bool_or(run_at <= now()) INTO due FROM queued;
  RETURN coalesce(due, false);
END $$;

-- One correlation id for all.
CREATE OR REPLACE FUNCTION carillon.write_deliveries(
    tenant_id uuid, workspace_id uuid, type text, ids uuid[], user_ids uuid[],
    correlation_id text, in_app_only boolean)
  RETURNS boolean LANGUAGE sql SET search_path = pg_catalog, pg_temp
  RETURN carillon.write_deliveries(
    write_deliveries.tenant_id, write_deliveries.workspace_id, write_deliveries.type, write_deliveries.ids,
    write_deliveries.user_ids, array_fill(write_deliveries.correlation_id, ARRAY[cardinality(write_deliveries.ids)]),
    write_deliveries.in_app_only);

-- The service's `send` of several notices of one type and workspace, each to
-- one user with a text of its own: the n-th of each array. Nothing for users
-- who are not the tenant's.
CREATE FUNCTION carillon.write_notices(
    tenant_id uuid, workspace_id uuid, type text, user_ids uuid[], titles text[], messages text[], data jsonb[],
    action_urls text[], correlation_ids text[])
  RETURNS TABLE (n bigint, id uuid, read_at timestamptz, created_at timestamptz, due boolean)
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  numbers bigint[];
  new_ids uuid[];
  new_users uuid[];
  reads timestamptz[];
  correlations text[];
  is_due boolean;
BEGIN
  PERFORM carillon.check_notification('carillon.write_notices', write_notices.type, w.title, w.message, w.data)
  FROM unnest(write_notices.titles, write_notices.messages, write_notices.data) AS w (title, message, data);
  WITH wanted AS MATERIALIZED (
    SELECT w.n, carillon.uuid_v7() AS id, u.id AS user_id, w.title, w.message, w.data, w.action_url, w.correlation_id,
           CASE WHEN NOT carillon.shows_in_app(p.in_app_enabled, t.overrides_opt_out) THEN now() END AS read_at
    FROM unnest(write_notices.user_ids, write_notices.titles, write_notices.messages, write_notices.data,
                write_notices.action_urls, write_notices.correlation_ids)
           WITH ORDINALITY AS w (user_id, title, message, data, action_url, correlation_id, n)
    JOIN carillon.users u ON u.id = w.user_id AND u.tenant_id = write_notices.tenant_id
    JOIN carillon.notification_types t ON t.type = write_notices.type
    LEFT JOIN carillon.notification_preferences p
      ON p.user_id = u.id AND p.notification_type = t.type AND p.tenant_id = u.tenant_id
  ), stored AS (
    INSERT INTO carillon.notifications
      (id, tenant_id, user_id, type, channel, title, message, data, action_url, read_at)
    SELECT id, write_notices.tenant_id, user_id, write_notices.type, 'in_app', left(title, 200), message, data,
           carillon.client_path(action_url), read_at
    FROM wanted
  )
  SELECT array_agg(n ORDER BY n), array_agg(id ORDER BY n), array_agg(user_id ORDER BY n), array_agg(read_at ORDER BY n),
         array_agg(correlation_id ORDER BY n)
  INTO numbers, new_ids, new_users, reads, correlations FROM wanted;
  IF new_ids IS NULL THEN
    RETURN;
  END IF;
  is_due := carillon.write_deliveries(
    write_notices.tenant_id, coalesce(write_notices.workspace_id, write_notices.tenant_id), write_notices.type,
    new_ids, new_users, correlations, false);
  RETURN QUERY SELECT w.n, w.id, w.read_at, now(), is_due
               FROM unnest(numbers, new_ids, reads) AS w (n, id, read_at) ORDER BY w.n;
END $$;
