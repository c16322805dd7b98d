-- 0002_create_job_engine.sql
-- Why: jobs, their manifests and history, and who owns which shard
-- (architecture page, "Ownership, exactly" and "Jobs").
-- Lock: none worth naming, everything is new. Backfill: 256 shard rows.

-- A node's life between two starts. Fenced transactions hold this row
-- FOR SHARE; ending it (ended_at) waits for them and refuses later ones.
CREATE TABLE carillon.node_incarnations (
  incarnation bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node varchar(100) NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);
CREATE INDEX node_incarnations_live_index ON carillon.node_incarnations (node) WHERE ended_at IS NULL;

-- The heartbeat: another row than the fence, so renewal never waits on it.
CREATE TABLE carillon.node_leases (
  incarnation bigint PRIMARY KEY REFERENCES carillon.node_incarnations ON DELETE CASCADE,
  node varchar(100) NOT NULL,
  endpoint varchar(255),
  expires_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE carillon.shard_leases (
  shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 255),
  incarnation bigint REFERENCES carillon.node_incarnations,
  -- Grows with every change of owner.
  epoch bigint NOT NULL DEFAULT 0,
  taken_at timestamptz
);
INSERT INTO carillon.shard_leases (shard) SELECT generate_series(0, 255);

-- UUIDv7 (RFC 9562): ids that sort by time, made in the database.
CREATE FUNCTION carillon.uuid_v7() RETURNS uuid
  LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN encode(
    set_byte(
      overlay(uuid_send(gen_random_uuid())
              PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
              FROM 1 FOR 6),
      6, (get_byte(uuid_send(gen_random_uuid()), 0) & 15) | 112),
    'hex')::uuid;

-- What enqueueing needs to know of a kind. A program that runs jobs writes
-- its kinds here when it starts; a kind that is missing gets the defaults.
CREATE TABLE carillon.job_kinds (
  kind varchar(100) PRIMARY KEY,
  queue varchar(50) NOT NULL DEFAULT 'default',
  priority smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
  max_attempts int NOT NULL DEFAULT 3 CHECK (max_attempts BETWEEN 1 AND 100),
  retention varchar(10) NOT NULL DEFAULT 'standard' CHECK (retention IN ('short', 'standard', 'long')),
  on_conflict varchar(10) NOT NULL DEFAULT 'reject' CHECK (on_conflict IN ('reject', 'replace', 'rerun')),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Live jobs only: a concluded one moves to job_history. "Running" is what
-- the manifests and the owner's memory say.
CREATE TABLE carillon.jobs (
  id uuid PRIMARY KEY,
  kind varchar(100) NOT NULL,
  queue varchar(50) NOT NULL,
  tenant_id uuid NOT NULL,
  -- No foreign key: work of no workspace runs under the tenant's own id.
  workspace_id uuid NOT NULL,
  shard smallint GENERATED ALWAYS AS (carillon.shard_of(workspace_id)) STORED,
  -- 0 is the most urgent. Few levels, so that a read begins at a cursor of
  -- each.
  priority smallint NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
  -- `v` is the form's version: fields are only added, a breaking change is a
  -- new kind.
  payload jsonb NOT NULL CHECK (coalesce(jsonb_typeof(payload -> 'v') = 'number', false)),
  state varchar(20) NOT NULL DEFAULT 'available' CHECK (state IN ('available', 'retrying')),
  attempt int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL,
  crashes int NOT NULL DEFAULT 0,
  -- Found in a dead node's manifest: 1 runs alone in its manifest, 2 (again)
  -- runs alone on its node.
  suspicion smallint NOT NULL DEFAULT 0 CHECK (suspicion BETWEEN 0 AND 2),
  run_at timestamptz NOT NULL DEFAULT now(),
  unique_key varchar(255),
  -- Grows when a live job is enqueued again: a run that took an earlier
  -- revision does not conclude it.
  revision int NOT NULL DEFAULT 0,
  -- Jobs of a kind with the same key share one rate budget.
  rate_key varchar(100),
  retention varchar(10) NOT NULL DEFAULT 'standard' CHECK (retention IN ('short', 'standard', 'long')),
  errors jsonb NOT NULL DEFAULT '[]',
  correlation_id varchar(64),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_due_index ON carillon.jobs (priority, run_at, id) INCLUDE (shard);
-- For one workspace alone: operators, and workspaces that have far more due
-- than their share.
CREATE INDEX jobs_workspace_due_index ON carillon.jobs (workspace_id, priority, run_at, id);
CREATE UNIQUE INDEX jobs_unique_key_index ON carillon.jobs (unique_key) WHERE unique_key IS NOT NULL;

-- One row per batch that a node took into its hands.
CREATE TABLE carillon.job_manifests (
  incarnation bigint NOT NULL REFERENCES carillon.node_incarnations ON DELETE CASCADE,
  batch bigint NOT NULL,
  job_ids uuid[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (incarnation, batch)
);

-- What ended, by retention class and day; carillon.maintain_job_history
-- makes the days ahead and drops the old ones. Succeeded jobs come by the
-- thousand a second, so their classes carry no btree: ids sort by time, and
-- a BRIN finds them.
CREATE TABLE carillon.job_history (
  id uuid NOT NULL,
  kind varchar(100) NOT NULL,
  queue varchar(50) NOT NULL,
  tenant_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  priority smallint NOT NULL,
  payload jsonb NOT NULL,
  state varchar(20) NOT NULL CHECK (state IN ('succeeded', 'discarded', 'cancelled')),
  attempt int NOT NULL,
  max_attempts int NOT NULL,
  crashes int NOT NULL,
  run_at timestamptz NOT NULL,
  unique_key varchar(255),
  rate_key varchar(100),
  retention varchar(10) NOT NULL,
  errors jsonb NOT NULL,
  correlation_id varchar(64),
  created_at timestamptz NOT NULL,
  concluded_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY LIST (retention);
CREATE TABLE carillon.job_history_short PARTITION OF carillon.job_history
  FOR VALUES IN ('short') PARTITION BY RANGE (concluded_at);
CREATE TABLE carillon.job_history_standard PARTITION OF carillon.job_history
  FOR VALUES IN ('standard') PARTITION BY RANGE (concluded_at);
-- Dead letters and cancelled jobs, whatever their class was.
CREATE TABLE carillon.job_history_long PARTITION OF carillon.job_history
  FOR VALUES IN ('long') PARTITION BY RANGE (concluded_at);
CREATE TABLE carillon.job_history_short_default PARTITION OF carillon.job_history_short DEFAULT;
CREATE TABLE carillon.job_history_standard_default PARTITION OF carillon.job_history_standard DEFAULT;
CREATE TABLE carillon.job_history_long_default PARTITION OF carillon.job_history_long DEFAULT;
CREATE INDEX job_history_short_id_index ON carillon.job_history_short
  USING brin (id) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX job_history_standard_id_index ON carillon.job_history_standard
  USING brin (id) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX job_history_long_id_index ON carillon.job_history_long (id);
CREATE INDEX job_history_long_tenant_index ON carillon.job_history_long (tenant_id, concluded_at);

-- Makes the partitions of today and the seven days ahead, drops what is
-- older than its class is kept. Returns how many were made and dropped.
-- A day whose rows already lie in a DEFAULT partition stays there.
CREATE FUNCTION carillon.maintain_job_history(keep_short interval, keep_standard interval, keep_long interval)
  RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  class text;
  keep interval;
  day date;
  part text;
  old record;
  changed int := 0;
BEGIN
  -- One at a time, whichever node comes first.
  IF NOT pg_try_advisory_xact_lock(hashtext('carillon.maintain_job_history')) THEN
    RETURN 0;
  END IF;
  FOR class, keep IN VALUES ('short', keep_short), ('standard', keep_standard), ('long', keep_long) LOOP
    FOR day IN SELECT (current_date + n) FROM generate_series(0, 7) AS n LOOP
      part := format('job_history_%s_%s', class, to_char(day, 'YYYYMMDD'));
      CONTINUE WHEN to_regclass('carillon.' || part) IS NOT NULL;
      BEGIN
        EXECUTE format('CREATE TABLE carillon.%I PARTITION OF carillon.%I FOR VALUES FROM (%L) TO (%L)',
                       part, 'job_history_' || class, day, day + 1);
        changed := changed + 1;
      EXCEPTION WHEN check_violation THEN
        NULL;
      END;
    END LOOP;
    FOR old IN
      SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = ('carillon.job_history_' || class)::regclass
        AND c.relname ~ '_[0-9]{8}$' AND to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= now() - keep
    LOOP
      EXECUTE format('DROP TABLE carillon.%I', old.relname);
      changed := changed + 1;
    END LOOP;
    EXECUTE format('DELETE FROM carillon.%I WHERE concluded_at <= now() - $1', 'job_history_' || class || '_default')
      USING keep;
  END LOOP;
  RETURN changed;
END $$;
SELECT carillon.maintain_job_history(interval '1 day', interval '7 days', interval '90 days');

-- Enqueues in the caller's transaction, from any program on this database.
-- Returns the job's id; null when a live job holds the unique key and the
-- kind (or on_conflict) says 'reject'. 'replace' gives the live job this
-- payload and time, 'rerun' leaves them; both let it run once more when it
-- is running. workspace_id null: work of the tenant itself. The owner is
-- notified at commit, once a transaction, when the job is due.
CREATE FUNCTION carillon.enqueue(
    kind text, tenant_id uuid, workspace_id uuid DEFAULT NULL, payload jsonb DEFAULT '{"v": 1}',
    run_at timestamptz DEFAULT NULL, unique_key text DEFAULT NULL, on_conflict text DEFAULT NULL,
    priority int DEFAULT NULL, max_attempts int DEFAULT NULL, rate_key text DEFAULT NULL,
    correlation_id text DEFAULT NULL)
  RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  k carillon.job_kinds;
  mode text;
  job uuid;
  owner text;
  home uuid := coalesce(enqueue.workspace_id, enqueue.tenant_id);
BEGIN
  IF coalesce(enqueue.kind, '') = '' OR enqueue.tenant_id IS NULL THEN
    RAISE EXCEPTION 'carillon.enqueue: kind and tenant_id are required' USING ERRCODE = '22023';
  END IF;
  IF jsonb_typeof(enqueue.payload) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'carillon.enqueue: payload must be a JSON object' USING ERRCODE = '22023';
  END IF;
  IF pg_column_size(enqueue.payload) > 262144 THEN
    RAISE EXCEPTION 'carillon.enqueue: payload is larger than 256 KiB' USING ERRCODE = '22023';
  END IF;
  IF enqueue.max_attempts NOT BETWEEN 1 AND 100 THEN
    RAISE EXCEPTION 'carillon.enqueue: max_attempts must be 1 to 100' USING ERRCODE = '22023';
  END IF;
  IF NOT EXISTS (SELECT FROM carillon.tenants t WHERE t.id = enqueue.tenant_id) THEN
    RAISE EXCEPTION 'carillon.enqueue: there is no tenant %', enqueue.tenant_id USING ERRCODE = '23503';
  END IF;
  IF home <> enqueue.tenant_id AND NOT EXISTS (
      SELECT FROM carillon.workspaces w WHERE w.id = home AND w.tenant_id = enqueue.tenant_id) THEN
    RAISE EXCEPTION 'carillon.enqueue: tenant % has no workspace %', enqueue.tenant_id, home USING ERRCODE = '23503';
  END IF;
  SELECT * INTO k FROM carillon.job_kinds jk WHERE jk.kind = enqueue.kind;
  mode := coalesce(enqueue.on_conflict, k.on_conflict, 'reject');
  IF mode NOT IN ('reject', 'replace', 'rerun') THEN
    RAISE EXCEPTION 'carillon.enqueue: on_conflict must be reject, replace or rerun' USING ERRCODE = '22023';
  END IF;
  INSERT INTO carillon.jobs AS j (id, kind, queue, tenant_id, workspace_id, priority, payload, max_attempts,
                                  run_at, unique_key, rate_key, retention, correlation_id)
  VALUES (carillon.uuid_v7(), enqueue.kind, coalesce(k.queue, 'default'), enqueue.tenant_id, home,
          coalesce(enqueue.priority, k.priority, 5), '{"v": 1}' || enqueue.payload,
          coalesce(enqueue.max_attempts, k.max_attempts, 3), coalesce(enqueue.run_at, now()),
          enqueue.unique_key, enqueue.rate_key, coalesce(k.retention, 'standard'), enqueue.correlation_id)
  ON CONFLICT (unique_key) WHERE unique_key IS NOT NULL DO UPDATE
    SET revision = j.revision + 1, updated_at = now(),
        payload = CASE WHEN mode = 'replace' THEN EXCLUDED.payload ELSE j.payload END,
        run_at = CASE WHEN mode = 'replace' THEN EXCLUDED.run_at ELSE j.run_at END,
        priority = CASE WHEN mode = 'replace' THEN EXCLUDED.priority ELSE j.priority END,
        attempt = CASE WHEN mode = 'replace' THEN 0 ELSE j.attempt END
    WHERE mode <> 'reject' AND j.tenant_id = EXCLUDED.tenant_id
  RETURNING j.id INTO job;
  IF job IS NOT NULL AND coalesce(enqueue.run_at, now()) <= now() + interval '1 second' THEN
    SELECT i.node INTO owner
    FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
    WHERE s.shard = carillon.shard_of(home) AND i.ended_at IS NULL;
    IF owner IS NOT NULL THEN
      -- The same for every job: PostgreSQL sends equal ones once a transaction.
      PERFORM pg_notify('carillon_' || left(owner, 54), '1 sweep ');
    END IF;
  END IF;
  RETURN job;
END $$;

-- What operators set per kind, queue or workspace: pauses, weights, caps and
-- rates. Owners read it when told and with their sweeps.
CREATE TABLE carillon.job_controls (
  scope varchar(10) NOT NULL CHECK (scope IN ('kind', 'queue', 'workspace')),
  name varchar(100) NOT NULL,
  is_paused boolean NOT NULL DEFAULT false,
  -- Turns in the fair pick-up; workspaces only.
  weight int CHECK (weight BETWEEN 1 AND 100),
  max_running int CHECK (max_running BETWEEN 0 AND 100000),
  -- Token bucket of a kind, one per rate_key.
  rate_per_second double precision CHECK (rate_per_second > 0),
  rate_burst int CHECK (rate_burst BETWEEN 1 AND 1000000),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, name)
);

-- Why an owner holds jobs back, for people who ask (carillon jobs explain).
CREATE TABLE carillon.job_blocks (
  incarnation bigint NOT NULL REFERENCES carillon.node_incarnations ON DELETE CASCADE,
  kind varchar(100) NOT NULL,
  rate_key varchar(100) NOT NULL DEFAULT '',
  reason varchar(20) NOT NULL CHECK (reason IN ('rate', 'circuit', 'cap')),
  until timestamptz,
  PRIMARY KEY (incarnation, kind, rate_key, reason)
);

-- One notice to a tenant's admins per cause and hour, with a count.
CREATE TABLE carillon.failure_notices (
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  cause varchar(64) NOT NULL,
  hour timestamptz NOT NULL,
  count int NOT NULL DEFAULT 1,
  notification_ids uuid[] NOT NULL DEFAULT '{}',
  PRIMARY KEY (tenant_id, cause, hour)
);

-- How far each workspace is with what runs regularly (docs/schedule.md). What
-- runs when is the program's; the owner of a shard makes the rows of its
-- workspaces, reads them when it takes the shard and keeps them in memory.
CREATE TABLE carillon.schedule_entries (
  workspace_id uuid NOT NULL,
  kind varchar(100) NOT NULL,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  shard smallint GENERATED ALWAYS AS (carillon.shard_of(workspace_id)) STORED,
  -- As the settings name it; a name that no zone has counts as UTC.
  time_zone varchar(64) NOT NULL,
  -- Runs up to this time are dealt with: that of the latest one that was
  -- started or skipped (its own, not that of the workspace's turn), or when
  -- the entry or its zone was new.
  last_run_at timestamptz NOT NULL,
  -- The workspace's next turn. For people: owners go by last_run_at.
  next_run_at timestamptz,
  PRIMARY KEY (workspace_id, kind)
) WITH (fillfactor = 80);

-- Who changed which tunable, from what to what (architecture page, "Config").
CREATE TABLE carillon.config_changes (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node varchar(100) NOT NULL,
  key varchar(100) NOT NULL,
  old_value text NOT NULL,
  new_value text NOT NULL,
  source varchar(50) NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
CALL carillon.make_insert_only('carillon.config_changes');
