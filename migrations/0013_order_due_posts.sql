-- 0013_order_due_posts.sql
-- Why: due posts are started in the order of their instant and, within it, of
-- their workspace, so that those of one workspace are planned and recorded
-- together; the index has that order.
-- Lock: SHARE on posts while it is built (writers wait: a second for a million
-- posts, as only scheduled ones are in it), ACCESS EXCLUSIVE for an instant.
-- Backfill: none.

CREATE INDEX posts_due_index ON carillon.posts (scheduled_at, workspace_id, id) INCLUDE (shard)
  WHERE status = 'scheduled' AND deleted_at IS NULL;
DROP INDEX carillon.posts_status_scheduled_at_index;
ALTER INDEX carillon.posts_due_index RENAME TO posts_status_scheduled_at_index;
