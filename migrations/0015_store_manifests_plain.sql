-- 0015_store_manifests_plain.sql
-- Why: a manifest lives for milliseconds, and random ids do not compress: trying
-- cost more than the row. Ids go out of line as they are.
-- Lock: ACCESS EXCLUSIVE on job_manifests for an instant. Backfill: none.

ALTER TABLE carillon.job_manifests ALTER COLUMN job_ids SET STORAGE EXTERNAL;
