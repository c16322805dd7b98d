-- 0006_index_integrations.sql
-- Why: which integration a post's network belongs to is looked up for every
-- target that is published, and no statement may need a scan.
-- Lock: SHARE on social_platform_integrations for an instant (a few rows).
-- Backfill: none.
CREATE INDEX social_platform_integrations_platforms_index
  ON carillon.social_platform_integrations USING gin (platforms);
