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
  priority smallint NOT NULL DEFAULT 100,
  payload jsonb NOT NULL,
  state varchar(20) NOT NULL DEFAULT 'available' CHECK (state IN ('available', 'retrying')),
  attempt int NOT NULL DEFAULT 0,
  max_attempts int NOT NULL,
  crashes int NOT NULL DEFAULT 0,
  -- Found in a dead node's manifest: runs alone in its next one.
  suspect boolean NOT NULL DEFAULT false,
  run_at timestamptz NOT NULL DEFAULT now(),
  unique_key varchar(255) UNIQUE,
  rerun boolean NOT NULL DEFAULT false,
  errors jsonb NOT NULL DEFAULT '[]',
  correlation_id varchar(64),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_due_index ON carillon.jobs (priority, run_at, id) INCLUDE (shard);
CREATE INDEX jobs_run_at_index ON carillon.jobs (run_at) INCLUDE (shard);
CREATE INDEX jobs_workspace_id_index ON carillon.jobs (workspace_id, kind);

-- One row per batch that a node took into its hands.
CREATE TABLE carillon.job_manifests (
  incarnation bigint NOT NULL REFERENCES carillon.node_incarnations ON DELETE CASCADE,
  batch bigint NOT NULL,
  job_ids uuid[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (incarnation, batch)
);

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
  errors jsonb NOT NULL,
  correlation_id varchar(64),
  created_at timestamptz NOT NULL,
  concluded_at timestamptz NOT NULL DEFAULT now()
) PARTITION BY RANGE (concluded_at);
CREATE TABLE carillon.job_history_default PARTITION OF carillon.job_history DEFAULT;
CREATE INDEX job_history_id_index ON carillon.job_history (id);

-- Cron entries per workspace (spec §9); rows arrive with the job kinds
-- behind them.
CREATE TABLE carillon.schedule_entries (
  workspace_id uuid NOT NULL,
  kind varchar(100) NOT NULL,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  shard smallint GENERATED ALWAYS AS (carillon.shard_of(workspace_id)) STORED,
  expression varchar(100) NOT NULL,
  missed_run_policy varchar(20) NOT NULL DEFAULT 'once'
    CHECK (missed_run_policy IN ('skip', 'once', 'all')),
  next_run_at timestamptz NOT NULL,
  last_run_at timestamptz,
  is_enabled boolean NOT NULL DEFAULT true,
  PRIMARY KEY (workspace_id, kind)
);
CREATE INDEX schedule_entries_due_index ON carillon.schedule_entries (next_run_at) INCLUDE (shard)
  WHERE is_enabled;

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
