// Media of contract §3.2: by path and as uploads, judged by their bytes.

#include <filesystem>
#include <fstream>
#include <future>

#include "http/media_link.hpp"
#include "tests/e2e/api/api_suite.hpp"

namespace carillon {

namespace {

using namespace test;

class PostMediaTest : public api_suite {
public:
  static void SetUpTestSuite() {
    folder() = std::make_unique<scratch_folder>();
    start_node({{"CARILLON_MEDIA__DIRECTORY", media_root().string()}, {"CARILLON_MEDIA__MAX_UPLOADS", "8"}});
  }
  static void TearDownTestSuite() {
    api_suite::TearDownTestSuite();
    folder().reset();
  }

protected:
  static std::unique_ptr<scratch_folder>& folder() {
    static std::unique_ptr<scratch_folder> one;
    return one;
  }
  static std::filesystem::path media_root() {
    return folder()->path() / "media";
  }

  std::string posts = base + "/posts";
  social_account_id account = add_account(workspace);
  std::string draft = api_suite::add_post(editor, "draft", account);

  std::string media_path(const std::string& post) const {
    return posts + "/" + post + "/media";
  }

  static std::string part(const std::string& name, const std::string& value) {
    return "--edge\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  }
  static std::string file_part(const std::string& content, const std::string& name, const std::string& type) {
    return "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + name + "\"\r\nContent-Type: " + type
           + "\r\n\r\n" + content + "\r\n";
  }
  web_answer send_form(const person& by, const std::string& post, const std::string& form) {
    return by.web.send("POST", media_path(post), form + "--edge--\r\n", {"Content-Type: multipart/form-data; boundary=edge"});
  }
  web_answer upload(const person& by, const std::string& post, const std::string& content, const std::string& media_type = "image",
                    const std::string& name = "a.png", const std::string& type = "image/png", const std::string& more = {}) {
    return send_form(by, post, file_part(content, name, type) + part("media_type", media_type) + more);
  }

  /// Of this workspace, unfinished ones of all included.
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto* below : {".unfinished"})
      for (const auto& entry : std::filesystem::recursive_directory_iterator{media_root() / below, ignored})
        out.push_back(entry.path().filename().string());
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator{media_root() / to_string(tenant) / to_string(workspace), ignored})
      if (entry.is_regular_file())
        out.push_back(entry.path().string());
    return out;
  }

  /// Of the file, without the server.
  static std::string path_of(const json& media) {
    const auto address = media["file_url"].is_string() ? media["file_url"].get<std::string>() : std::string{};
    EXPECT_TRUE(address.starts_with(node().web().base_url() + std::string{http::media_link_prefix})) << media;
    return address.substr(std::min(address.size(), node().web().base_url().size()));
  }

  tenant_id stranger_tenant() const {
    return *tenant_id::parse(db().exec("SELECT tenant_id FROM carillon.workspaces WHERE id = " + sql_literal(elsewhere)));
  }

  static long resident_peak_kib() {
    std::ifstream status{"/proc/" + std::to_string(node().self().pid()) + "/status"};
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("VmHWM:"))
        return std::stol(line.substr(6));
    return 0;
  }
  /// VmHWM counts from here on.
  static void forget_resident_peak() {
    std::ofstream{"/proc/" + std::to_string(node().self().pid()) + "/clear_refs"} << "5";
  }
};

std::string four_bytes(std::uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16 & 255), static_cast<char>(n >> 8 & 255), static_cast<char>(n & 255)};
}

std::string picture(std::uint32_t width = 4, std::uint32_t height = 3, std::size_t bytes = 500) {
  return std::string{"\x89PNG\r\n\x1a\n"} + four_bytes(13) + "IHDR" + four_bytes(width) + four_bytes(height) + std::string(bytes, 'p');
}

std::string film(std::size_t bytes) {
  return four_bytes(24) + "ftypisom" + std::string(bytes - 12, 'f');
}

std::string content_of(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

// -- by path ---------------------------------------------------------------------

TEST_F(PostMediaTest, MediaAreAttachedByPathInTheirOrder) {
  const auto first = data_of(editor.web.post(media_path(draft), {{"media_type", "image"}, {"file_path", "folder/a.png"},
                                                                 {"file_url", "https://cdn.acme.example/a.png"}, {"file_size", "1234"},
                                                                 {"mime_type", "image/png"}, {"metadata", {{"a", 1}}}, {"alt_text", "A bee"}}),
                             201);
  EXPECT_EQ(first["post_id"], draft);
  EXPECT_EQ(first["media_type"], "image");
  EXPECT_EQ(first["file_path"], "folder/a.png");
  EXPECT_EQ(first["file_url"], "https://cdn.acme.example/a.png");
  EXPECT_EQ(first["original_filename"], "a.png");
  EXPECT_EQ(first["file_size"], 1234);
  EXPECT_EQ(first["alt_text"], "A bee");
  EXPECT_EQ(first["metadata"], (json{{"a", 1}}));
  EXPECT_EQ(first["sort_order"], 1);
  const auto second = data_of(editor.web.post(media_path(draft), {{"media_type", "video"}, {"file_path", "b.mp4"}}), 201);
  EXPECT_EQ(second["sort_order"], 2) << "after the last";
  const auto third = data_of(editor.web.post(media_path(draft), {{"media_type", "gif"}, {"file_path", "c.gif"}, {"sort_order", 1}}), 201);
  const auto ids = [&] { return column(data_of(viewer.web.get(media_path(draft))), "id"); };
  EXPECT_EQ(ids(), json::array({first["id"], third["id"], second["id"]}));
  const auto reordered = data_of(editor.web.put(media_path(draft) + "/order", {{"media_order", json::array({second["id"], third["id"], first["id"]})}}));
  EXPECT_EQ(column(reordered, "id"), json::array({second["id"], third["id"], first["id"]}));
  data_of(editor.web.put(media_path(draft) + "/order",
                         {{first["id"].get<std::string>(), 1}, {second["id"].get<std::string>(), 2}, {third["id"].get<std::string>(), 3}}));
  EXPECT_EQ(ids(), json::array({first["id"], second["id"], third["id"]}));
  EXPECT_EQ(data_of(editor.web.send("DELETE", media_path(draft) + "/" + second["id"].get<std::string>(), "")), nullptr);
  EXPECT_EQ(ids(), json::array({first["id"], third["id"]}));
  EXPECT_EQ(data_of(editor.web.get(posts + "/" + draft))["post"]["media_count"], 2);
}

TEST_F(PostMediaTest, PathsThatLeaveTheWorkspaceAndOtherNonsenseAreRefused) {
  const auto before = fingerprint();
  const auto attach = [&](json body) {
    if (!body.contains("media_type"))
      body["media_type"] = "image";
    if (!body.contains("file_path"))
      body["file_path"] = "a.png";
    return editor.web.post(media_path(draft), body);
  };
  for (const auto* path : {"../a.png", "a/../../b.png", "/etc/passwd", "..", "a//b", "a\\..\\b", "./a", "a/", ""})
    EXPECT_TRUE(refuses(attach({{"file_path", path}}), "file_path")) << path;
  EXPECT_TRUE(refuses(attach({{"file_path", std::string(1'001, 'a')}}), "file_path"));
  EXPECT_TRUE(refuses(attach({{"original_filename", "../../a.png"}}), "original_filename"));
  EXPECT_TRUE(refuses(attach({{"media_type", "hologram"}}), "media_type"));
  EXPECT_TRUE(refuses(attach({{"file_url", "javascript:alert(1)"}}), "file_url"));
  EXPECT_TRUE(refuses(attach({{"file_size", -1}}), "file_size"));
  EXPECT_TRUE(refuses(attach({{"file_size", 1.5}}), "file_size"));
  EXPECT_TRUE(refuses(attach({{"file_size", 11 * 1024 * 1024}}), "file_size"));
  EXPECT_TRUE(refuses(attach({{"mime_type", "text/html"}}), "mime_type"));
  EXPECT_TRUE(refuses(attach({{"media_type", "video"}, {"mime_type", "image/png"}}), "mime_type"));
  EXPECT_TRUE(refuses(attach({{"alt_text", std::string(501, 'a')}}), "alt_text"));
  EXPECT_TRUE(refuses(editor.web.post(media_path(draft)), {"media_type", "file_path"}));
  EXPECT_TRUE(refuses(editor.web.put(media_path(draft) + "/order", {{"media_order", json::array({to_string(make_uuid_v7())})}}), "media_order"));
  EXPECT_TRUE(refuses(editor.web.put(media_path(draft) + "/order", json::object()), "media_order"));
  EXPECT_TRUE(refuses(editor.web.put(media_path(draft) + "/order", {{"nonsense", 1}}), "nonsense"));
  EXPECT_TRUE(is_problem(editor.web.send("DELETE", media_path(draft) + "/" + to_string(make_uuid_v7()), ""), 404));
  EXPECT_TRUE(is_problem(editor.web.send("DELETE", media_path(draft) + "/nonsense", ""), 404));
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(PostMediaTest, OnlyEditablePostsTakeMedia) {
  const auto approved = api_suite::add_post(editor, "approved", account);
  const auto media = db().exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, storage_path) VALUES (gen_random_uuid(), "
                               + sql_literal(tenant) + ", " + sql_literal(approved) + ", 'image', 'a', 'a') RETURNING id");
  EXPECT_TRUE(is_problem(admin.web.post(media_path(approved), {{"media_type", "image"}, {"file_path", "a"}}), 403));
  EXPECT_TRUE(is_problem(upload(admin, approved, picture()), 403));
  EXPECT_TRUE(is_problem(admin.web.put(media_path(approved) + "/order", {{"media_order", json::array({media})}}), 403));
  EXPECT_TRUE(refuses(admin.web.send("DELETE", media_path(approved) + "/" + media, ""), "post"));
  EXPECT_EQ(data_of(viewer.web.get(media_path(approved))).size(), 1u);
}

TEST_F(PostMediaTest, APostHasAtMostTwentyMedia) {
  db().exec("INSERT INTO carillon.post_media (id, tenant_id, post_id, type, file_name, storage_path) SELECT gen_random_uuid(), "
            + sql_literal(tenant) + ", " + sql_literal(draft) + ", 'image', 'a', 'a' FROM generate_series(1, 20)");
  EXPECT_TRUE(refuses(editor.web.post(media_path(draft), {{"media_type", "image"}, {"file_path", "a"}}), "media"));
  EXPECT_TRUE(refuses(upload(editor, draft, picture()), "media"));
  EXPECT_EQ(files(), std::vector<std::string>{}) << "no file is left behind";
  raw_client large{port_of(node().web())};
  large.send("POST " + media_path(draft) + " HTTP/1.1\r\nHost: t.example\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
             "Authorization: Bearer " + editor.token + "\r\nContent-Length: 300000000\r\n\r\n");
  const auto refused = large.receive();
  ASSERT_TRUE(refused) << "before the body";
  EXPECT_EQ(refused->status, 422);
}

// -- uploads ---------------------------------------------------------------------

TEST_F(PostMediaTest, AnUploadIsKeptAsItCame) {
  const auto content = picture(640, 480, 100'000);
  const auto data = data_of(upload(editor, draft, content, "image", "Grüße aus Köln.png", "image/png",
                                   part("original_filename", "Köln.png") + part("file_size", std::to_string(content.size()))
                                     + part("mime_type", "image/png") + part("alt_text", "Der Dom")),
                            201);
  EXPECT_EQ(data["media_type"], "image");
  EXPECT_EQ(data["original_filename"], "Köln.png");
  EXPECT_EQ(data["file_size"], content.size());
  EXPECT_EQ(data["mime_type"], "image/png");
  EXPECT_EQ(data["alt_text"], "Der Dom");
  EXPECT_EQ(data["processing_status"], "completed");
  EXPECT_EQ(data["sort_order"], 1);
  EXPECT_EQ(db().exec("SELECT dimensions FROM carillon.post_media WHERE id = " + sql_literal(data["id"].get<std::string>())),
            R"({"width": 640, "height": 480})");
  const auto kept = files();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0], (media_root() / to_string(tenant) / to_string(workspace) / data["file_path"].get<std::string>()).string());
  EXPECT_EQ(content_of(kept[0]), content);
  EXPECT_EQ(data_of(viewer.web.get(media_path(draft)))[0], data);
}

TEST_F(PostMediaTest, AnUploadedPictureGoesOutWithItsPost) {
  const scratch_folder around;
  const sandbox_network network{around.path()};
  connect_account(account, network.url());
  data_of(upload(editor, draft, picture(4, 3), "image", "a.png", "image/png", part("alt_text", "A bee")), 201);
  db().exec("UPDATE carillon.posts SET status = 'approved' WHERE id = " + sql_literal(draft));
  data_of(admin.web.post(posts + "/" + draft + "/publish"));
  EXPECT_TRUE(eventually([&] { return data_of(viewer.web.get(posts + "/" + draft))["post"]["status"] == "published"; }))
    << data_of(viewer.web.get(posts + "/" + draft + "/attempts"));
  ASSERT_EQ(network.posts().size(), 1u);
}

TEST_F(PostMediaTest, APostWhoseFileIsGoneFailsAndSaysSo) {
  connect_account(account, "http://127.0.0.1:1");
  data_of(editor.web.post(media_path(draft), {{"media_type", "image"}, {"file_path", "never/there.png"}}), 201);
  db().exec("UPDATE carillon.posts SET status = 'approved' WHERE id = " + sql_literal(draft));
  data_of(admin.web.post(posts + "/" + draft + "/publish"));
  EXPECT_TRUE(eventually([&] { return data_of(viewer.web.get(posts + "/" + draft))["post"]["status"] == "failed"; }));
  const auto target = data_of(viewer.web.get(posts + "/" + draft))["targets"][0];
  EXPECT_EQ(target["error_code"], "PUBLISH_ERROR");
  EXPECT_NE(target["error_message"].get<std::string>().find("media file"), std::string::npos);
}

TEST_F(PostMediaTest, TheFileGoesWithTheLastPostThatShowsIt) {
  const auto media = data_of(upload(editor, draft, picture()), 201);
  const auto copy = data_of(editor.web.post(posts + "/" + draft + "/duplicate"), 201);
  data_of(editor.web.send("DELETE", media_path(draft) + "/" + media["id"].get<std::string>(), ""));
  EXPECT_EQ(files().size(), 1u) << "the copy shows it";
  data_of(editor.web.send("DELETE", media_path(copy["id"]) + "/" + copy["media"][0]["id"].get<std::string>(), ""));
  EXPECT_TRUE(eventually([&] { return files().empty(); }));
}

TEST_F(PostMediaTest, ADeletedPostTakesItsFilesWithItUnlessAnotherShowsThem) {
  data_of(upload(editor, draft, picture()), 201);
  const auto copy = data_of(editor.web.post(posts + "/" + draft + "/duplicate"), 201).value("id", "");
  data_of(upload(editor, draft, picture()), 201);
  ASSERT_EQ(files().size(), 2u);
  data_of(editor.web.send("DELETE", posts + "/" + draft, ""));
  EXPECT_TRUE(eventually([&] { return files().size() == 1; }));
  EXPECT_EQ(count("post_media WHERE post_id = " + sql_literal(draft)), 0);
  EXPECT_EQ(data_of(viewer.web.get(media_path(copy))).size(), 1u) << "the copy shows it";
  EXPECT_EQ(data_of(editor.web.post(posts + "/bulk-delete", {{"post_ids", json::array({copy})}})).value("deleted", 0), 1);
  EXPECT_TRUE(eventually([&] { return files().empty(); }));
}

TEST_F(PostMediaTest, APostThatWasDeletedWithItsMediaKeepsNoFile) {
  const auto media = data_of(upload(editor, draft, picture()), 201);
  // As earlier versions deleted: the rows stayed.
  const auto copy = data_of(editor.web.post(posts + "/" + draft + "/duplicate"), 201).value("id", "");
  db().exec("UPDATE carillon.posts SET deleted_at = now() WHERE id = " + sql_literal(copy));
  data_of(editor.web.send("DELETE", media_path(draft) + "/" + media["id"].get<std::string>(), ""));
  EXPECT_TRUE(eventually([&] { return files().empty(); }));
}

TEST_F(PostMediaTest, AFileThatAnotherPostIsAttachingStays) {
  const auto media = data_of(upload(editor, draft, picture()), 201);
  const auto path = media["file_path"].get<std::string>();
  const auto other = api_suite::add_post(editor, "draft", account);
  // Who attaches is held at the last moment before its commit.
  db().exec("CREATE FUNCTION carillon.hold_attached() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "PERFORM pg_advisory_xact_lock(7001); RETURN NULL; END $$");
  db().exec("CREATE CONSTRAINT TRIGGER hold_attached AFTER INSERT ON carillon.post_media DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW WHEN (NEW.post_id = " + sql_literal(other) + ") EXECUTE FUNCTION carillon.hold_attached()");
  db().exec("SELECT pg_advisory_lock(7001)");
  const auto waiting = [&](const std::string& what) {
    return eventually([&] { return db().exec("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()") == what; });
  };
  auto attached = std::async(std::launch::async, [&] {
    return editor.web.post(media_path(other), {{"media_type", "image"}, {"file_path", path}});
  });
  EXPECT_TRUE(waiting("1"));
  auto removed = std::async(std::launch::async, [&] {
    return admin.web.send("DELETE", media_path(draft) + "/" + media["id"].get<std::string>(), "");
  });
  EXPECT_TRUE(waiting("2")) << "who removes waits for who attaches";
  db().exec("SELECT pg_advisory_unlock(7001)");
  data_of(attached.get(), 201);
  data_of(removed.get());
  db().exec("DROP TRIGGER hold_attached ON carillon.post_media");
  db().exec("DROP FUNCTION carillon.hold_attached()");
  EXPECT_EQ(files().size(), 1u);
  // And it is not forgotten.
  data_of(editor.web.send("DELETE", posts + "/" + other, ""));
  EXPECT_TRUE(eventually([&] { return files().empty(); }));
}

// -- served ----------------------------------------------------------------------

TEST_F(PostMediaTest, TheAddressOfAnUploadServesItsBytesToWhoeverHasIt) {
  const auto content = picture(640, 480, 200'000);
  const auto media = data_of(upload(editor, draft, content), 201);
  EXPECT_TRUE(media["thumbnail_url"].is_null());
  const auto path = path_of(media);
  const auto answer = node().web().get(path);
  EXPECT_EQ(answer.status, 200) << "without a token";
  EXPECT_EQ(answer.body, content);
  EXPECT_EQ(header_of(answer, "Content-Type"), "image/png");
  EXPECT_EQ(header_of(answer, "Content-Length"), std::to_string(content.size()));
  EXPECT_EQ(header_of(answer, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(header_of(answer, "Accept-Ranges"), "bytes");
  EXPECT_TRUE(header_of(answer, "Content-Disposition").starts_with("inline; filename=\""));
  EXPECT_TRUE(header_of(answer, "Cache-Control").starts_with("private, max-age="));
  EXPECT_NE(header_of(answer, "Content-Security-Policy").find("sandbox"), std::string::npos);
  // Every answer that shows the medium has an address.
  EXPECT_EQ(path_of(data_of(viewer.web.get(media_path(draft)))[0]), path) << "the same, for caches";
  EXPECT_EQ(path_of(data_of(viewer.web.get(posts + "/" + draft))["media"][0]), path);
  const auto copy = data_of(editor.web.post(posts + "/" + draft + "/duplicate"), 201);
  EXPECT_EQ(node().web().get(path_of(copy["media"][0])).body, content);
}

TEST_F(PostMediaTest, ADocumentIsDownloadedAndNotShown) {
  const auto media = data_of(upload(editor, draft, "%PDF-1.7\n" + std::string(500, 'd'), "document", "a.pdf", "application/pdf"), 201);
  const auto answer = node().web().get(path_of(media));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(header_of(answer, "Content-Type"), "application/pdf");
  EXPECT_TRUE(header_of(answer, "Content-Disposition").starts_with("attachment; filename=\""));
}

TEST_F(PostMediaTest, PartsOfAFilmAreServedAsPlayersAskForThem) {
  const auto content = film(300'000);
  const auto path = path_of(data_of(upload(editor, draft, content, "video", "a.mp4", "video/mp4"), 201));
  const auto ask = [&](const std::vector<std::string>& headers) { return node().web().send("GET", path, {}, headers); };
  const auto part = ask({"Range: bytes=100000-199999"});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, content.substr(100'000, 100'000));
  EXPECT_EQ(header_of(part, "Content-Range"), "bytes 100000-199999/300000");
  EXPECT_EQ(header_of(part, "Content-Length"), "100000");
  EXPECT_EQ(header_of(part, "Content-Type"), "video/mp4");
  EXPECT_EQ(ask({"Range: bytes=-10"}).body, content.substr(299'990));
  EXPECT_EQ(ask({"Range: bytes=299999-"}).body, "f");
  const auto behind = ask({"Range: bytes=300000-"});
  EXPECT_TRUE(is_problem(behind, 416));
  EXPECT_EQ(header_of(behind, "Content-Range"), "bytes */300000");
  for (const auto* whole : {"Range: bytes=0-1,5-6", "Range: nonsense", "Range: bytes=9-1"})
    EXPECT_EQ(ask({whole}).status, 200) << whole;
  const auto tag = header_of(part, "ETag");
  EXPECT_EQ(ask({"Range: bytes=0-9", "If-Range: " + tag}).status, 206);
  EXPECT_EQ(ask({"Range: bytes=0-9", "If-Range: \"other\""}).status, 200) << "it is not what the client has";
  const auto known = ask({"If-None-Match: " + tag});
  EXPECT_EQ(known.status, 304);
  EXPECT_EQ(known.body, "");
}

TEST_F(PostMediaTest, HeadSaysWhatGetWouldAndTheConnectionGoesOn) {
  const auto content = picture(4, 3, 100'000);
  const auto path = path_of(data_of(upload(editor, draft, content), 201));
  raw_client client{port_of(node().web())};
  client.send("HEAD " + path + " HTTP/1.1\r\nHost: t.example\r\nRange: bytes=0-9\r\n\r\n");
  const auto head = client.receive(true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->header("content-length"), std::to_string(content.size()));
  EXPECT_EQ(head->header("content-type"), "image/png");
  for (int i = 0; i < 2; ++i) {
    client.send("GET " + path + " HTTP/1.1\r\nHost: t.example\r\n\r\n");
    const auto whole = client.receive();
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->body, content);
  }
  EXPECT_TRUE(is_problem(node().web().send("POST", path, "{}"), 405));
}

TEST_F(PostMediaTest, CachesAreToldThatAnAnswerDependsOnTheOrigin) {
  const auto path = path_of(data_of(upload(editor, draft, picture()), 201));
  raw_client client{port_of(node().web())};
  for (const auto* more : {"", "Origin: https://app.example\r\n", "Range: bytes=0-9\r\n"})
    for (const auto& target : {path, path + "x"}) {
      client.send("GET " + target + " HTTP/1.1\r\nHost: t.example\r\n" + more + "\r\n");
      const auto answer = client.receive();
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->header("vary"), "Origin") << more << answer->status;
    }
}

TEST_F(PostMediaTest, APipeliningClientHoldsOneFile) {
  // More than the buffers of a connection take.
  const auto media = data_of(upload(editor, draft, film(24 * 1024 * 1024), "video", "b.mp4", "video/mp4"), 201);
  const auto name = media["file_path"].get<std::string>().substr(8);
  raw_client client{port_of(node().web())};
  std::string all;
  for (int i = 0; i < 10; ++i)
    all += "GET " + path_of(media) + " HTTP/1.1\r\nHost: t.example\r\n\r\n";
  ASSERT_TRUE(client.send(all));
  EXPECT_TRUE(client.read_to("\r\n\r\n").starts_with("HTTP/1.1 200"));
  // On another connection, behind what this one has asked for.
  EXPECT_EQ(node().web().send("GET", path_of(media), {}, {"Range: bytes=0-9"}).status, 206);
  const auto held = [&] {
    int count = 0;
    std::error_code ignored;
    for (const auto& one : std::filesystem::directory_iterator{"/proc/" + std::to_string(node().self().pid()) + "/fd"})
      count += std::filesystem::read_symlink(one.path(), ignored).filename() == name;
    return count;
  };
  EXPECT_TRUE(eventually([&] { return held() == 1; })) << held();
}

TEST_F(PostMediaTest, EveryAddressThatIsNoGoodIsAnsweredAlike) {
  const auto media = data_of(upload(editor, draft, picture()), 201);
  const auto file = media["file_path"].get<std::string>();
  const auto good = path_of(media);
  const http::media_links links{{http::media_link_key(std::string(32, 'k'))}, std::chrono::hours{1}};
  const instant now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
  const auto address = [&](const tenant_id& of, const workspace_id& in, const std::string& path, instant made) {
    return std::string{http::media_link_prefix} + links.make({of, in, path}, made);
  };
  EXPECT_EQ(node().web().get(address(tenant, workspace, file, now)).status, 200) << "the test signs as the program does";
  // Something to find, were a path let out.
  std::ofstream{media_root() / to_string(tenant) / to_string(workspace) / "secret.png"} << "secret";
  auto forged = good;
  forged.back() = forged.back() == 'A' ? 'B' : 'A';
  const auto dot = good.rfind('.');
  const auto theirs = address(stranger_tenant(), workspace, file, now);
  const std::vector<std::string> bad{
    forged,
    good.substr(0, dot),
    good.substr(0, dot) + theirs.substr(theirs.rfind('.')),
    address(tenant, workspace, file, now - std::chrono::hours{3}),
    theirs,
    address(tenant, elsewhere, file, now),
    address(tenant, workspace, "uploads/../secret.png", now),
    address(tenant, workspace, "secret.png", now),
    address(tenant, workspace, "uploads/never.png", now),
    address(tenant, workspace, "uploads", now),
    std::string{http::media_link_prefix} + "nonsense",
    std::string{http::media_link_prefix} + std::string(5'000, 'A'),
    std::string{http::media_link_prefix} + "..%2F..%2F" + file};
  const auto first = node().web().get(bad[0]);
  for (const auto& path : bad) {
    const auto answer = node().web().get(path);
    EXPECT_TRUE(is_problem(answer, 404)) << path;
    EXPECT_EQ(answer.body, first.body) << path;
  }
  EXPECT_FALSE(node().self().output().find(good.substr(http::media_link_prefix.size())) != std::string::npos)
    << "an address is a credential, and no log's";
  data_of(editor.web.send("DELETE", media_path(draft) + "/" + media["id"].get<std::string>(), ""));
  EXPECT_TRUE(eventually([&] { return node().web().get(good).status == 404; })) << "what is gone is gone";
  EXPECT_EQ(node().web().get(good).body, first.body);
}

TEST_F(PostMediaTest, AFileNamedByPathHasAnAddressOnlyWhenItWasUploadedHere) {
  const auto uploaded = data_of(upload(editor, draft, picture()), 201);
  const auto other = api_suite::add_post(editor, "draft", account);
  const auto attach = [&](const std::string& path, json more = json::object()) {
    more["media_type"] = "image";
    more["file_path"] = path;
    return data_of(editor.web.post(media_path(other), more), 201);
  };
  EXPECT_EQ(node().web().get(path_of(attach(uploaded["file_path"]))).body, picture());
  EXPECT_TRUE(attach("folder/a.png")["file_url"].is_null());
  EXPECT_TRUE(attach("uploads/a.html")["file_url"].is_null()) << "nothing that a browser runs";
  EXPECT_EQ(attach("uploads/b.png", {{"file_url", "https://cdn.acme.example/b.png"}})["file_url"], "https://cdn.acme.example/b.png");
}

TEST_F(PostMediaTest, AnAddressThatEndsIsNotStoredWhenAClientSendsItBack) {
  const auto uploaded = data_of(upload(editor, draft, picture()), 201);
  const auto other = api_suite::add_post(editor, "draft", account);
  const auto copy = data_of(editor.web.post(media_path(other), {{"media_type", "image"}, {"file_path", uploaded["file_path"]},
                                                                {"file_url", uploaded["file_url"]}}),
                            201);
  EXPECT_EQ(db().exec("SELECT count(*) FROM carillon.post_media WHERE cdn_url IS NOT NULL AND post_id = '" + other + "'"), "0");
  EXPECT_EQ(node().web().get(path_of(copy)).body, picture());
}

TEST_F(PostMediaTest, AFilmOf100MebibytesIsServedWithMemoryFlat) {
  constexpr std::size_t size = 100 * 1024 * 1024;
  const auto path = path_of(data_of(upload(editor, draft, film(size), "video", "b.mp4", "video/mp4"), 201));
  EXPECT_EQ(node().web().send("GET", path, {}, {"Range: bytes=0-999999"}).status, 206);
  forget_resident_peak();
  const auto before = resident_peak_kib();
  ASSERT_GT(before, 0);
  EXPECT_EQ(node().web().get(path).body.size(), size);
  const auto grown = resident_peak_kib() - before;
  RecordProperty("grown_kib", static_cast<int>(grown));
#ifndef __SANITIZE_ADDRESS__ // Which keeps what is freed for a while.
  EXPECT_LT(grown, 20 * 1024) << "from " << before << " KiB";
#endif
}

// -- refused ---------------------------------------------------------------------

TEST_F(PostMediaTest, AWrongContentIsRefusedWhateverItSays) {
  const auto before = fingerprint();
  const std::string page = "<html><script>alert(1)</script></html>";
  const auto web = [&](const web_answer& answer, const char* field) {
    EXPECT_TRUE(refuses(answer, field));
    EXPECT_EQ(files(), std::vector<std::string>{});
  };
  web(upload(editor, draft, page), "file");
  web(upload(editor, draft, ""), "file");
  web(upload(editor, draft, film(5'000), "image", "a.png"), "file");
  web(upload(editor, draft, picture(), "video", "a.mp4"), "file");
  web(upload(editor, draft, picture(), "image", "a.jpg", "image/jpeg"), "file");
  web(upload(editor, draft, picture(), "image", "a.png", "text/html"), "file");
  web(upload(editor, draft, picture(), "image", "a.png", "image/png", part("mime_type", "image/gif")), "mime_type");
  web(upload(editor, draft, picture(), "image", "a.png", "image/png", part("file_size", "7")), "file_size");
  web(upload(editor, draft, picture(), "hologram"), "media_type");
  web(send_form(editor, draft, file_part(picture(), "a.png", "image/png")), "media_type");
  web(send_form(editor, draft, part("media_type", "image")), "file");
  web(send_form(editor, draft, part("media_type", "image") + part("file", "text")), "file");
  web(send_form(editor, draft, file_part(picture(), "a.png", "image/png") + file_part(picture(), "b.png", "image/png") + part("media_type", "image")), "file");
  EXPECT_EQ(fingerprint(), before);
}

TEST_F(PostMediaTest, APictureThatWouldExpandToGigapixelsIsRefused) {
  EXPECT_TRUE(refuses(upload(editor, draft, picture(60'000, 60'000)), "file"));
  EXPECT_TRUE(refuses(upload(editor, draft, picture(0xffffffff, 0xffffffff)), "file"));
  EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(PostMediaTest, NamesThatClimbOutOfAFolderAreRefused) {
  for (const auto* name : {"../../etc/passwd", "..", "a/b.png", "..\\\\..\\\\a.png", ""}) {
    EXPECT_TRUE(refuses(upload(editor, draft, picture(), "image", name), "file")) << name;
    if (*name) {
      EXPECT_TRUE(refuses(upload(editor, draft, picture(), "image", "a.png", "image/png", part("original_filename", name)), "original_filename")) << name;
    }
  }
  EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(PostMediaTest, EachKindHasItsSize) {
  EXPECT_EQ(upload(editor, draft, picture(4, 3, 10 * 1024 * 1024 - 24)).status, 201) << "exactly 10 MiB";
  EXPECT_TRUE(refuses(upload(editor, draft, picture(4, 3, 10 * 1024 * 1024 - 23)), "file"));
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(PostMediaTest, AMalformedFormIsRefused) {
  const auto post_form = [&](const std::string& body, const std::string& type) {
    return editor.web.send("POST", media_path(draft), body, {"Content-Type: " + type});
  };
  EXPECT_TRUE(refuses(post_form("x", "multipart/form-data"), "body"));
  EXPECT_TRUE(refuses(post_form("--edge\r\nnonsense\r\n\r\n", "multipart/form-data; boundary=edge"), "body"));
  EXPECT_TRUE(refuses(post_form(file_part(picture(), "a.png", "image/png"), "multipart/form-data; boundary=edge"), "body")) << "no end";
  EXPECT_TRUE(refuses(post_form(part("media_type", std::string(5'000, 'x')), "multipart/form-data; boundary=edge"), "body"));
  EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(PostMediaTest, WhoMayNotEditIsRefusedBeforeTheBody) {
  const auto head = [&](const std::string& token, std::size_t length) {
    return "POST " + media_path(draft) + " HTTP/1.1\r\nHost: t.example\r\nContent-Type: multipart/form-data; boundary=edge\r\n"
           + (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") + "Content-Length: " + std::to_string(length) + "\r\n\r\n";
  };
  for (const auto& [token, status] : std::vector<std::pair<std::string, int>>{
         {"", 401}, {viewer.token, 403}, {colleague.token, 403}, {outsider.token, 403}, {stranger.token, 404}}) {
    raw_client client{port_of(node().web())};
    client.send(head(token, 400'000'000));
    EXPECT_TRUE(is_problem(client.receive(), status));
  }
  raw_client huge{port_of(node().web())};
  huge.send(head(editor.token, 600'000'000));
  EXPECT_TRUE(is_problem(huge.receive(), 413)) << "more than any file may have";
}

TEST_F(PostMediaTest, AnUploadThatBreaksOffLeavesNothing) {
  {
    raw_client client{port_of(node().web())};
    client.send("POST " + media_path(draft) + " HTTP/1.1\r\nHost: t.example\r\nContent-Type: multipart/form-data; boundary=edge\r\nAuthorization: Bearer "
                + editor.token + "\r\nContent-Length: 1000000\r\n\r\n" + file_part(picture(4, 3, 200'000), "a.png", "image/png"));
    EXPECT_TRUE(eventually([&] { return files().size() == 1; })) << "it is being written";
  }
  EXPECT_TRUE(eventually([&] { return files().empty(); }));
  EXPECT_EQ(data_of(viewer.web.get(media_path(draft))), json::array());
}

TEST_F(PostMediaTest, UploadsAtOnceAreLimitedForOneAndForAll) {
  const auto second_admin = add_member_person("second admin", workspace_role::admin);
  const auto third_admin = add_member_person("third admin", workspace_role::admin);
  std::vector<std::unique_ptr<raw_client>> open;
  const auto begin_two = [&](const person& by) {
    for (int i = 0; i < 2; ++i) {
      open.push_back(std::make_unique<raw_client>(port_of(node().web())));
      open.back()->send("POST " + media_path(draft) + " HTTP/1.1\r\nHost: t.example\r\nContent-Type: multipart/form-data; boundary=edge\r\nAuthorization: Bearer "
                        + by.token + "\r\nContent-Length: 1000000\r\n\r\n" + file_part(picture(4, 3, 100'000), "a.png", "image/png"));
    }
    EXPECT_TRUE(eventually([&] { return files().size() == open.size(); }));
  };
  begin_two(editor);
  const auto refused = upload(editor, draft, picture());
  EXPECT_TRUE(is_problem(refused, 503)) << "a quarter of eight is one user's";
  EXPECT_FALSE(header_of(refused, "Retry-After").empty());
  for (const auto* by : std::initializer_list<const person*>{&admin, &owner, &second_admin})
    begin_two(*by);
  EXPECT_TRUE(is_problem(upload(third_admin, draft, picture()), 503)) << "eight are under way";
  open.clear();
  EXPECT_TRUE(eventually([&] { return upload(editor, draft, picture()).status == 201; }));
}

TEST_F(PostMediaTest, AnUploadOf100MebibytesHoldsMemoryFlat) {
  // Warm: threads, buffers and connections of a first upload are there.
  data_of(upload(editor, draft, film(1'000'000), "video", "a.mp4", "video/mp4"), 201);
  constexpr std::size_t size = 100 * 1024 * 1024;
  forget_resident_peak();
  const auto before = resident_peak_kib();
  ASSERT_GT(before, 0);
  const auto data = data_of(upload(editor, draft, film(size), "video", "b.mp4", "video/mp4"), 201);
  EXPECT_EQ(data["file_size"], size);
  const auto grown = resident_peak_kib() - before;
  RecordProperty("grown_kib", static_cast<int>(grown));
#ifndef __SANITIZE_ADDRESS__ // Which keeps what is freed for a while.
  EXPECT_LT(grown, 40 * 1024) << "from " << before << " KiB";
#endif
}

} // namespace

} // namespace carillon
