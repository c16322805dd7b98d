// Live delivery as the web client sees it: the real program, laravel-echo and
// pusher-js from npm (live_client.mjs), and an event stream.
#include <csignal>
#include <cstdlib>

#include <unistd.h>

#include "tests/e2e/api/api_suite.hpp"
#include "tests/support/raw_websocket.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon {

namespace {

using namespace test;

/// The libraries of the web client, in a Node process of their own.
class echo_client {
public:
  explicit echo_client(const std::filesystem::path& folder)
    : process_{{"node", std::string{CARILLON_SOURCE_DIR} + "/tests/e2e/live/live_client.mjs", CARILLON_NPM_DIR},
               {{"PATH", std::getenv("PATH")}},
               folder / "live_client.log"} {
    const bool up = eventually([this] {
      const auto output = process_.output();
      const auto end = output.find('\n');
      if (!output.starts_with("control ") || end == std::string::npos)
        return false;
      control_ = "http://127.0.0.1:" + output.substr(8, end - 8);
      return true;
    });
    if (!up)
      throw std::runtime_error{"the live client did not start: " + process_.output()};
  }

  void open(const std::string& name, const web_client& server, const std::string& token,
            const std::string& auth = "/api/broadcasting/auth", std::uint16_t port = 0) {
    tell("/open", {{"name", name},
                   {"port", port != 0 ? port : port_of(server)},
                   {"key", "carillon"},
                   {"token", token},
                   {"auth", server.base_url() + auth}});
  }
  void listen(const std::string& name, const std::string& channel) {
    tell("/listen", {{"name", name},
                     {"channel", channel},
                     {"events", {"notification.new", "post.status_changed", "inbox.item_received"}}});
  }
  void tell(const std::string& what, const json& body) {
    const auto answer = web_client{control_}.post(what, body);
    EXPECT_EQ(answer.status, 200) << answer.body;
  }
  json log(const std::string& name) const {
    return web_client{control_}.get("/log?name=" + name).json();
  }

  /// Waits for `count` records that have all members of `wanted`; the last.
  json await(const std::string& name, const json& wanted, int count = 1) {
    json found;
    const bool came = eventually([&] {
      int seen = 0;
      for (const auto& record : log(name))
        if (matches(record, wanted) && ++seen == count)
          found = record;
      return seen >= count;
    });
    EXPECT_TRUE(came) << wanted << " is not in " << log(name) << process_.output();
    return found;
  }
  int count(const std::string& name, const json& wanted) const {
    int seen = 0;
    for (const auto& record : log(name))
      seen += matches(record, wanted) ? 1 : 0;
    return seen;
  }

private:
  static bool matches(const json& record, const json& wanted) {
    for (const auto& [member, value] : wanted.items())
      if (record.value(member, json{}) != value)
        return false;
    return true;
  }

  process process_;
  std::string control_;
};

class LiveTest : public api_suite {
public:
  static void SetUpTestSuite() {
    second_port = closed_port();
    start_node({{"CARILLON_LIVE__PORT", std::to_string(second_port)},
                {"CARILLON_LIVE__RECHECK_EVERY", "1s"},
                {"CARILLON_LIVE__MAX_CONNECTIONS_PER_USER", "3"}});
  }

protected:
  static std::string user_channel(const person& who) {
    return "user." + to_string(who.id);
  }
  std::string room() const {
    return "workspace." + to_string(workspace);
  }
  web_answer command(const person& by, const std::string& post, const std::string& what) {
    return by.web.post(base + "/posts/" + post + "/" + what);
  }

  /// A draft that can be submitted, by the editor.
  std::string draft() {
    return add_post(editor, "draft", add_account(workspace));
  }

  static inline std::uint16_t second_port = 0;
  scratch_folder folder;
  echo_client echo{folder.path()};
};

TEST_F(LiveTest, EchoHearsWhatConcernsItsUserAndHisWorkspace) {
  const auto id = draft();
  echo.open("editor", node().web(), editor.token);
  echo.listen("editor", user_channel(editor));
  echo.listen("editor", room());
  echo.listen("editor", room() + ".inbox");
  for (const auto& channel : {user_channel(editor), room(), room() + ".inbox"})
    echo.await("editor", {{"what", "subscribed"}, {"channel", channel}});
  // The other port and the other path to the signature.
  echo.open("admin", node().web(), admin.token, "/broadcasting/auth", second_port);
  echo.listen("admin", user_channel(admin));
  echo.await("admin", {{"what", "subscribed"}});

  EXPECT_EQ(command(editor, id, "submit").status, 200);
  const auto moved = echo.await("editor", {{"what", "event"}, {"event", "post.status_changed"}})["data"];
  EXPECT_EQ(moved["post_id"], id);
  EXPECT_EQ(moved["previous_status"], "draft");
  EXPECT_EQ(moved["status"], "submitted");
  EXPECT_EQ(moved["title"], "A post");
  EXPECT_TRUE(is_api_time(moved["updated_at"]));
  const auto asked = echo.await("admin", {{"what", "event"}, {"event", "notification.new"}})["data"];
  EXPECT_EQ(asked["type"], "post_submitted");
  EXPECT_EQ(command(admin, id, "approve").status, 200);
  const auto told = echo.await("editor", {{"what", "event"}, {"event", "notification.new"}})["data"];
  EXPECT_EQ(told["type"], "post_approved");
  const auto listed = data_of(editor.web.get("/api/v1/notifications"));
  ASSERT_EQ(listed.size(), 1u) << "what was told is there to be fetched";
  for (const auto* member : {"id", "type", "title", "message", "action_url", "created_at"})
    EXPECT_EQ(told[member], listed[0][member]) << member;
  EXPECT_EQ(told.size(), 6u);
  EXPECT_EQ(echo.count("editor", {{"what", "event"}, {"event", "notification.new"}}), 1);

  echo.tell("/leave", {{"name", "editor"}, {"channel", room()}});
  echo.tell("/close", {{"name", "admin"}});
  const auto report = node().internal().get("/internal/actors").json()["data"];
  bool reported = false;
  for (const auto& child : report["children"])
    reported = reported || (child["name"] == "realtime" && child["facts"]["users"] != "0");
  EXPECT_TRUE(reported) << report;
}

TEST_F(LiveTest, OthersChannelsAreRefused) {
  echo.open("viewer", node().web(), viewer.token);
  echo.listen("viewer", user_channel(editor));
  echo.listen("viewer", "workspace." + to_string(elsewhere));
  echo.await("viewer", {{"what", "refused"}, {"channel", user_channel(editor)}, {"status", 403}});
  echo.await("viewer", {{"what", "refused"}, {"channel", "workspace." + to_string(elsewhere)}, {"status", 403}});
  echo.listen("viewer", room());
  echo.await("viewer", {{"what", "subscribed"}, {"channel", room()}});
  echo.open("outsider", node().web(), outsider.token);
  echo.listen("outsider", room() + ".inbox");
  echo.await("outsider", {{"what", "refused"}, {"status", 403}});
  echo.open("nobody", node().web(), "1|not-a-token");
  echo.listen("nobody", user_channel(editor));
  echo.await("nobody", {{"what", "refused"}, {"status", 401}});
  echo.open("owner", node().web(), owner.token);
  echo.listen("owner", room());
  echo.await("owner", {{"what", "subscribed"}});
}

TEST_F(LiveTest, SignaturesAreGivenToThoseWhoMayListenOnly) {
  const auto sign = [](const person& by, const json& body) { return by.web.post("/broadcasting/auth", body); };
  const auto own = "private-user." + to_string(viewer.id);
  const auto given = sign(viewer, {{"socket_id", "12.34"}, {"channel_name", own}});
  EXPECT_EQ(given.status, 200);
  EXPECT_EQ(given.json().size(), 1u) << given.body;
  EXPECT_TRUE(given.json().value("auth", "").starts_with("carillon:")) << given.body;
  const auto form = viewer.web.send("POST", "/api/broadcasting/auth", "socket_id=12.34&channel_name=" + own,
                                    {"Content-Type: application/x-www-form-urlencoded"});
  EXPECT_EQ(form.status, 200) << form.body;
  EXPECT_EQ(form.json(), given.json());

  EXPECT_TRUE(is_problem(sign(viewer, {{"socket_id", "12.34"}, {"channel_name", "private-user." + to_string(editor.id)}}), 403));
  EXPECT_TRUE(is_problem(sign(viewer, {{"socket_id", "12.34"}, {"channel_name", "presence-room.1"}}), 403));
  EXPECT_TRUE(is_problem(sign(stranger, {{"socket_id", "12.34"}, {"channel_name", "private-" + room()}}), 403));
  EXPECT_TRUE(is_problem(node().web().post("/broadcasting/auth", {{"socket_id", "12.34"}, {"channel_name", own}}), 401));
  for (const auto* socket : {"", "12", "12.34:private-user.x", "a.b"})
    EXPECT_TRUE(refuses(sign(viewer, {{"socket_id", socket}, {"channel_name", own}}), "socket_id")) << socket;
  EXPECT_TRUE(refuses(sign(viewer, {{"socket_id", "12.34"}, {"channel_name", 7}}), "channel_name"));
  EXPECT_TRUE(refuses(viewer.web.send("POST", "/broadcasting/auth", "socket_id=%zz",
                                      {"Content-Type: application/x-www-form-urlencoded"}), "body"));
}

TEST_F(LiveTest, WhatAnotherProgramWritesIsTold) {
  echo.open("viewer", node().web(), viewer.token);
  echo.listen("viewer", user_channel(viewer));
  echo.await("viewer", {{"what", "subscribed"}});
  const auto id = db().exec("SELECT carillon.notify(" + sql_literal(tenant) + ", " + sql_literal(viewer.id)
                            + ", 'payment_failed', 'The card was refused', 'Please look at it.')");
  EXPECT_EQ(echo.await("viewer", {{"what", "event"}, {"event", "notification.new"}})["data"]["id"], id);
}

TEST_F(LiveTest, AnInAppPreferenceThatIsOffSendsNothing) {
  const auto id = draft();
  echo.open("editor", node().web(), editor.token);
  echo.listen("editor", user_channel(editor));
  echo.await("editor", {{"what", "subscribed"}});
  EXPECT_EQ(editor.web.put("/api/v1/notifications/preferences",
                           {{"preferences", json::array({{{"notification_type", "post_approved"}, {"in_app_enabled", false}}})}})
              .status, 200);
  EXPECT_EQ(command(editor, id, "submit").status, 200);
  EXPECT_EQ(command(admin, id, "approve").status, 200);
  const auto other = draft();
  EXPECT_EQ(command(editor, other, "submit").status, 200);
  EXPECT_EQ(admin.web.post(base + "/posts/" + other + "/reject", {{"reason", "Not this one."}}).status, 200);
  EXPECT_EQ(echo.await("editor", {{"what", "event"}})["data"]["type"], "post_rejected");
}

TEST_F(LiveTest, ALogOutEndsWhatItsTokenListenedTo) {
  const web_client first{node().web().base_url(), editor.token};
  echo.open("editor", node().web(), editor.token);
  echo.listen("editor", user_channel(editor));
  echo.await("editor", {{"what", "subscribed"}});
  EXPECT_EQ(first.post("/api/v1/auth/logout").status, 200);
  // Told to connect again, pusher-js does, and is refused.
  echo.await("editor", {{"what", "refused"}, {"status", 401}});
  const auto id = add_post(editor, "submitted", add_account(workspace));
  EXPECT_EQ(command(admin, id, "approve").status, 200);
  echo.open("admin", node().web(), admin.token);
  echo.listen("admin", room());
  echo.await("admin", {{"what", "subscribed"}});
  EXPECT_EQ(echo.count("editor", {{"what", "event"}}), 0);
}

TEST_F(LiveTest, TheEndOfAMembershipEndsTheWorkspacesChannels) {
  echo.open("viewer", node().web(), viewer.token);
  echo.listen("viewer", user_channel(viewer));
  echo.listen("viewer", room());
  echo.await("viewer", {{"what", "subscribed"}, {"channel", room()}});
  echo.await("viewer", {{"what", "subscribed"}, {"channel", user_channel(viewer)}});
  db().exec("DELETE FROM carillon.workspace_memberships WHERE user_id = " + sql_literal(viewer.id));
  echo.await("viewer", {{"what", "refused"}, {"channel", room()}, {"status", 403}});
  echo.await("viewer", {{"what", "subscribed"}, {"channel", user_channel(viewer)}}, 2);
}

TEST_F(LiveTest, AUserWithTooManyConnectionsIsToldSo) {
  for (const auto* name : {"1", "2", "3"}) {
    echo.open(name, node().web(), viewer.token);
    echo.listen(name, user_channel(viewer));
    echo.await(name, {{"what", "subscribed"}});
  }
  echo.open("4", node().web(), viewer.token);
  echo.listen("4", user_channel(viewer));
  echo.await("4", {{"what", "error"}, {"code", 4004}});
}

TEST_F(LiveTest, AWrongKeyIsToldAndNotTriedAgain) {
  raw_websocket socket{second_port, "/app/wrong?protocol=7"};
  EXPECT_EQ(socket.receive_json()["data"]["code"], 4001);
  EXPECT_EQ(socket.receive_close(), 4001);
}

TEST_F(LiveTest, EchoComesBackAfterARestartAndHearsAgain) {
  const std::map<std::string, std::string> settings{{"CARILLON_HTTP__PORT", std::to_string(closed_port())}};
  auto own = std::make_unique<carillon_node>(db().url(), folder.path(), settings);
  echo.open("editor", own->web(), editor.token);
  echo.listen("editor", user_channel(editor));
  echo.await("editor", {{"what", "subscribed"}});
  own->self().signal(SIGTERM);
  const auto ended = own->self().wait();
  ASSERT_TRUE(ended) << own->self().output();
  own = std::make_unique<carillon_node>(db().url(), folder.path(), settings);
  echo.await("editor", {{"what", "subscribed"}}, 2);
  const auto id = add_post(editor, "submitted", add_account(workspace));
  const web_client admin_there{own->web().base_url(), admin.token};
  EXPECT_EQ(admin_there.post(base + "/posts/" + id + "/approve").status, 200);
  EXPECT_EQ(echo.await("editor", {{"what", "event"}})["data"]["type"], "post_approved");
}

/// A node with a neighbour that syncs an inbox.
class LiveInboxTest : public api_suite {
public:
  static constexpr auto secret = "a-secret-of-both-nodes";

  static void SetUpTestSuite() {
    start_node({{"CARILLON_CLUSTER__ENABLED", "true"}, {"CARILLON_CLUSTER__PORT", "0"},
                {"CARILLON_LIVE__APP_SECRET", secret}});
  }

protected:
  static bool sees_the_neighbour() {
    const auto report = node().internal().get("/internal/actors").json();
    for (const auto& child : report["data"]["children"])
      if (child["name"] == "cluster" && child["facts"].value("peers_up", "") == "1")
        return true;
    return false;
  }
  scratch_folder folder;
  echo_client echo{folder.path()};
};

TEST_F(LiveInboxTest, AllThreeEventsReachOneEcho) {
  const auto account = add_account(workspace);
  const process neighbour{{CARILLON_INBOX_NEIGHBOUR, db().url(), secret, to_string(tenant), to_string(workspace),
                           to_string(account)},
                          {},
                          folder.path() / "neighbour.log"};
  const auto own = "user." + to_string(editor.id);
  const auto room = "workspace." + to_string(workspace);
  echo.open("editor", node().web(), editor.token);
  for (const auto& channel : {own, room, room + ".inbox"}) {
    echo.listen("editor", channel);
    echo.await("editor", {{"what", "subscribed"}, {"channel", channel}});
  }
  // He may not enter, so he is not told.
  echo.open("outsider", node().web(), outsider.token);
  echo.listen("outsider", room + ".inbox");
  echo.await("outsider", {{"what", "refused"}, {"status", 403}});
  ASSERT_TRUE(eventually(sees_the_neighbour)) << neighbour.output() << node().self().output();

  neighbour.signal(SIGUSR1);
  const auto received = echo.await("editor", {{"what", "event"}, {"event", "inbox.item_received"}});
  EXPECT_EQ(received["channel"], room + ".inbox");
  const auto& item = received["data"];
  EXPECT_EQ(count("inbox_items WHERE workspace_id = " + sql_literal(workspace) + " AND id = "
                  + sql_literal(item["id"].get<std::string>())), 1);
  EXPECT_EQ(item["platform"], "mastodon");
  EXPECT_EQ(item["type"], "comment");
  EXPECT_EQ(item["author_name"], "Ann");
  EXPECT_TRUE(is_api_time(item["created_at"]));
  const std::string preview = item["content_preview"];
  EXPECT_TRUE(preview.starts_with("What a \"lovely\" picture \xF0\x9F\x8E\x89...")) << preview;
  EXPECT_EQ(preview.size(), 103u) << "100 characters";
  EXPECT_EQ(item.size(), 6u) << item;

  const auto post = add_post(editor, "submitted", account);
  EXPECT_EQ(admin.web.post(base + "/posts/" + post + "/approve").status, 200);
  EXPECT_EQ(echo.await("editor", {{"what", "event"}, {"event", "post.status_changed"}})["data"]["post_id"], post);
  EXPECT_EQ(echo.await("editor", {{"what", "event"}, {"event", "notification.new"}})["data"]["type"], "post_approved");
  neighbour.signal(SIGUSR1);
  echo.await("editor", {{"what", "event"}, {"event", "inbox.item_received"}}, 2);
  EXPECT_EQ(echo.count("outsider", {{"what", "event"}}), 0);
}

/// Reads a stream of events as they come.
class event_stream {
public:
  event_stream(std::uint16_t port, const std::string& token, const std::string& more = {})
    : client_(port) {
    client_.send("GET /api/v1/notifications/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
                 "Authorization: Bearer " + token + "\r\n" + more + "\r\n");
  }
  /// Up to `text`, or all there is when the stream ends first.
  std::string read_to(const std::string& text) {
    return client_.read_to(text);
  }

private:
  raw_client client_;
};

TEST_F(LiveTest, TheStreamTellsTheSameAndResumes) {
  const auto id = add_post(editor, "submitted", add_account(workspace));
  std::string told;
  {
    event_stream stream{port_of(node().web()), editor.token};
    const auto head = stream.read_to("\r\n\r\n");
    EXPECT_NE(head.find("200 OK"), std::string::npos) << head;
    EXPECT_NE(head.find("text/event-stream"), std::string::npos) << head;
    EXPECT_EQ(stream.read_to("\n\n"), "retry: 2000\n\n");
    EXPECT_EQ(command(admin, id, "approve").status, 200);
    told = stream.read_to("\n\n");
  }
  const auto notice = data_of(editor.web.get("/api/v1/notifications"))[0];
  EXPECT_TRUE(told.starts_with("id: " + notice["id"].get<std::string>() + "\nevent: notification.new\ndata: {")) << told;
  event_stream again{port_of(node().web()), editor.token, "Last-Event-ID: " + notice["id"].get<std::string>() + "\r\n"};
  again.read_to("\r\n\r\n");
  EXPECT_EQ(again.read_to("\n\n"), "retry: 2000\n\n");
  EXPECT_EQ(again.read_to("\n\n"), told);
  event_stream fresh{port_of(node().web()), editor.token};
  fresh.read_to("\r\n\r\n");
  EXPECT_EQ(fresh.read_to("\n\n"), "retry: 2000\n\n");
  EXPECT_EQ(editor.web.post("/api/v1/auth/logout").status, 200);
  EXPECT_EQ(fresh.read_to("\n\n"), "") << "ends with its token";
  EXPECT_TRUE(is_problem(editor.web.get("/api/v1/notifications/stream"), 401));
}

} // namespace

} // namespace carillon
