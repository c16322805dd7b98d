-- 0019_index_crashed_jobs.sql
-- Why: whoever takes over shards looks for the few jobs that crashed nodes;
-- without an index it went through every job that waits (a million: a third of
-- a second before the first one is read).
-- Lock: writes to jobs wait while the live jobs are read once. Backfill: none.
CREATE INDEX jobs_crashed_index ON carillon.jobs (shard) WHERE crashes > 0;
