-- 0018_index_no_bulk_by_workspace.sql
-- Why: of what a bulk enqueue costs, a third was its entries in the index by
-- workspace, each on another page. Jobs that came by the hundred are read in the
-- order in which they are due; only the others are looked up by their workspace.
-- Lock: ACCESS EXCLUSIVE on jobs while the index is made anew, seconds for a
-- million live jobs; nodes wait for it. Those of the version before work on
-- after it, but read a workspace that floods by a longer way. Backfill: none,
-- jobs that are there count as single ones.

ALTER TABLE carillon.jobs ADD COLUMN in_bulk boolean NOT NULL DEFAULT false;
DROP INDEX carillon.jobs_workspace_due_index;
CREATE INDEX jobs_workspace_due_index ON carillon.jobs (workspace_id, priority, run_at, id) WHERE NOT in_bulk;
