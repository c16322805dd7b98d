-- 0007_widen_media_urls.sql
-- Why: the API takes URLs of media of up to 2,048 characters (contract §3.2),
-- and removing media asks whether another post shows the same object.
-- Lock: brief ACCESS EXCLUSIVE for the columns (a longer varchar rewrites
-- nothing); SHARE while the index is built. Backfill: none.

ALTER TABLE carillon.post_media
  ALTER COLUMN cdn_url TYPE varchar(2048),
  ALTER COLUMN thumbnail_url TYPE varchar(2048);

CREATE INDEX post_media_storage_path_index ON carillon.post_media (storage_path);
