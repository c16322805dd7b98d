-- 0016_remember_account_windows.sql
-- Why: what is left of a network's window ("300 calls in five minutes") is known
-- to the node that called. Once half of it is used up it is kept here as well,
-- each time that it has halved, so that the next owner does not begin afresh.
-- Lock: brief ACCESS EXCLUSIVE on social_accounts. Backfill: none.

ALTER TABLE carillon.social_accounts
  ADD COLUMN calls_limit bigint,
  ADD COLUMN calls_left bigint,
  ADD COLUMN calls_window_ends timestamptz,
  ADD COLUMN uploads_limit bigint,
  ADD COLUMN uploads_left bigint,
  ADD COLUMN uploads_window_ends timestamptz;
