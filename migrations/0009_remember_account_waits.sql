-- 0009_remember_account_waits.sql
-- Why: what a network asked of an account ("no call before …") outlives the
-- process that heard it: whoever owns the workspace next does not call before.
-- Uploads are counted apart by some networks and hold back only posts with files.
-- Lock: brief ACCESS EXCLUSIVE on social_accounts. Backfill: none.

ALTER TABLE carillon.social_accounts
  ADD COLUMN calls_wait_until timestamptz,
  ADD COLUMN uploads_wait_until timestamptz;
