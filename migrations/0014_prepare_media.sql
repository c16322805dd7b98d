-- 0014_prepare_media.sql
-- Why: files are uploaded to their network before the post is due, so that the
-- due second holds one call; what the network answered outlives the process.
-- Lock: SHARE ROW EXCLUSIVE on post_targets, post_media and tenants for the
-- instant in which the foreign keys are made. Backfill: none.

CREATE TABLE carillon.prepared_media (
  target_id uuid NOT NULL REFERENCES carillon.post_targets ON DELETE CASCADE,
  media_id uuid NOT NULL REFERENCES carillon.post_media ON DELETE CASCADE,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  workspace_id uuid NOT NULL,
  shard smallint GENERATED ALWAYS AS (carillon.shard_of(workspace_id)) STORED,
  -- Of the post, as it was uploaded: another one's media may differ.
  revision int NOT NULL,
  -- The network's own name for the file; null: the upload failed.
  reference text CHECK (octet_length(reference) BETWEEN 1 AND 10000),
  prepared_at timestamptz NOT NULL DEFAULT now(),
  -- The reference may be used until then; without one nothing is tried before.
  holds_until timestamptz NOT NULL,
  PRIMARY KEY (target_id, media_id)
);
CREATE INDEX prepared_media_media_id_index ON carillon.prepared_media (media_id);
CREATE INDEX prepared_media_shard_index ON carillon.prepared_media (shard);
