#include "app/commands/demo_content.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "domain/text.hpp"

namespace carillon::app {

namespace {

using namespace std::chrono_literals;
using std::chrono::minutes;

constexpr std::array<const char*, 2> zones = {"Europe/Berlin", "America/New_York"};

// Users, in the order of make_demo_company.
constexpr std::size_t owner = 0;
constexpr std::size_t admin = 1;
constexpr std::size_t editor = 2;
constexpr std::size_t viewer = 3;

constexpr std::size_t europe = 0;
constexpr std::size_t americas = 1;

/// `time` of the day `days` from today, on the clocks of `zone`.
instant on_day(instant now, int days, const std::string& time, const char* zone) {
  const auto date = format_api_time(now + std::chrono::days{days}).substr(0, 10);
  return parse_time(date + "T" + time + ":00", zone).value_or(now);
}

struct post_plan {
  std::size_t workspace;
  std::size_t author;
  post_status status;
  int days; ///< Of what happened last, or is going to happen.
  const char* time;
  const char* text;
  std::vector<std::string> hashtags;
  const char* link = "";
  const char* note = ""; ///< Comment, reason or error.
};

const std::vector<post_plan>& post_plans() {
  using enum post_status;
  static const std::vector<post_plan> all = {
    {europe, editor, published, -31, "09:00",
     "The Hauler 3 is here. 120 kg of payload, 92 km of range, and it still fits through a Berlin "
     "courtyard door. Test rides start on Saturday.",
     {"cargobike", "hauler3"}, "https://acme.example/hauler-3"},
    {europe, editor, published, -24, "12:30",
     "How do you get a washing machine across town without a van? Jonas and Aylin tried it. "
     "Spoiler: it took one belt, two hills and a very curious dog.",
     {"cargobike"}, "https://acme.example/stories/washing-machine"},
    {europe, owner, published, -17, "10:00",
     "We have signed the lease for our second workshop, in Leipzig-Plagwitz. Twelve new jobs, from "
     "wheel building to customer care. Come and build bikes with us.",
     {"jobs", "leipzig"}, "https://acme.example/jobs"},
    {europe, editor, published, -10, "08:15",
     "Winter check for your cargo bike, in four steps: brakes, lights, chain, tyre pressure. Our "
     "mechanic Mehmet shows each of them in under a minute.",
     {"wintercheck", "howto"}, "https://acme.example/winter-check"},
    {europe, editor, published, -5, "17:45",
     "1,000 Haulers on the road! Number 1,000 went to the Kaya family in Hamburg, who now do the "
     "school run, the shopping and the dog with one bike. Thank you all.",
     {"hauler3", "milestone"}},
    {europe, admin, published, -2, "11:00",
     "Saturday, 10:00, Tempelhofer Feld: bring your cargo bike, bring your kids, bring cake. We "
     "bring coffee, pumps and a mechanic.",
     {"berlin", "rideout"}, "https://acme.example/rideout"},
    {europe, editor, publishing, 0, "08:00",
     "Service news: our Kreuzberg workshop now opens at 7:30, so that you can drop the bike off "
     "before work and pick it up on the way home.",
     {"service"}},
    {europe, editor, scheduled, 1, "09:00",
     "Three questions we hear every week about range. One: does it drop in winter? Yes, by about "
     "15 %. Two and three are in the thread.",
     {"hauler3", "faq"}, "https://acme.example/faq/range"},
    {europe, admin, scheduled, 3, "10:30",
     "On Thursday we open the doors in Leipzig. Tour the new workshop, meet the wheel builders, "
     "and ride the test track that used to be a loading bay.",
     {"leipzig", "openday"}, "https://acme.example/leipzig"},
    {europe, editor, scheduled, 6, "18:00",
     "Sunday reading: the city of Utrecht counted its cargo bikes. The number surprised even them.",
     {"cargobike", "cities"}, "https://acme.example/blog/utrecht"},
    {europe, editor, approved, -1, "15:20",
     "New colours for spring: Moss, Brick and Fjord. Same steel, same five-year frame warranty.",
     {"hauler3", "colours"}, "https://acme.example/colours",
     "Lovely. Please schedule it for the week after the open day."},
    {europe, editor, submitted, -1, "16:05",
     "We asked 312 customers what they carried last week. Groceries won. Third place: other "
     "bicycles.",
     {"survey"}, "https://acme.example/survey"},
    {europe, editor, submitted, 0, "07:40",
     "Behind the scenes: a frame takes 41 welds and about six hours. Here is the whole day in 58 "
     "seconds.",
     {"madeinberlin"}},
    {europe, editor, rejected, -4, "13:10",
     "Everyone else's e-bikes are basically scooters. There, we said it.",
     {"hottake"}, "",
     "Let us talk about our own bikes, not about others'. Try an angle on the frame geometry?"},
    {europe, editor, draft, -3, "11:55",
     "Draft: interview with Aylin about four winters of deliveries by cargo bike. Photos still "
     "missing.",
     {"stories"}},
    {europe, admin, draft, -1, "18:30",
     "Draft for the recall-free year post: check the numbers with quality first.", {}},
    {europe, editor, failed, -8, "14:00",
     "Watch the new disc brake stop a fully loaded Hauler from 25 km/h, in the rain, in slow "
     "motion.",
     {"hauler3", "brakes"}, "", "Validation failed: the attached video could not be processed"},
    {europe, admin, cancelled, -12, "09:45",
     "Rain date: the ride-out moves to next Saturday.", {"berlin", "rideout"}},

    {americas, editor, published, -27, "09:00",
     "Hello, Brooklyn! Our first US showroom opens on Bedford Avenue. First 50 test rides get a "
     "bell that is louder than it looks.",
     {"cargobike", "brooklyn"}, "https://acme.example/us/brooklyn"},
    {americas, editor, published, -20, "12:00",
     "Class 1, 2 or 3? We wrote down what each e-bike class means in New York, so that you do not "
     "have to read the statute.",
     {"ebike", "nyc"}, "https://acme.example/us/classes"},
    {americas, admin, published, -13, "10:15",
     "A bakery in Red Hook replaced its delivery van with two Haulers. Eight weeks later: 0 parking "
     "tickets, down from 31.",
     {"business", "hauler3"}, "https://acme.example/us/stories/bakery"},
    {americas, editor, published, -3, "16:30",
     "Helmet hair is a small price for skipping the BQE. Ride safe out there this week, it is icy.",
     {"nyc", "winter"}},
    {americas, editor, scheduled, 2, "09:30",
     "New on the blog: how to store a cargo bike in an apartment building without starting a war "
     "with your super.",
     {"nyc", "howto"}, "https://acme.example/us/blog/storage"},
    {americas, admin, scheduled, 5, "12:00",
     "The Hauler 3 is now in stock in Chicago and Portland. Find your nearest dealer.",
     {"hauler3", "dealers"}, "https://acme.example/us/dealers"},
    {americas, editor, approved, 0, "06:50",
     "Tax season tip: some employers' commuter benefits cover e-bikes. We collected the ones we "
     "know about.",
     {"ebike", "commute"}, "https://acme.example/us/benefits", "Approved. Legal has read it, too."},
    {americas, editor, submitted, -2, "14:25",
     "Meet Priya, who runs our Brooklyn workshop and has trued more wheels than she cares to count.",
     {"team"}},
    {americas, editor, rejected, -6, "11:30",
     "Our range beats everything on the market, period.", {"hauler3"}, "",
     "We cannot prove \"everything\". Please quote the test and its numbers."},
    {americas, editor, draft, -1, "10:00",
     "Draft: Earth Day trade-in. Waiting for the discount from sales.", {"earthday"}},
    {americas, admin, failed, -9, "13:00",
     "Live from the Brooklyn Bike Jumble: come find us at table 14 until five.",
     {"brooklyn"}, "", "Validation failed: the attached image is larger than 16 MB"},
    {americas, editor, cancelled, -15, "08:30",
     "Black Friday at the showroom, doors open at eight.", {"brooklyn"}},
  };
  return all;
}

void add_targets(storage::demo_post& post, const post_plan& plan, const demo_cast& cast,
                 std::size_t number, instant now) {
  const auto& accounts = demo_accounts();
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    if (accounts[i].workspace != plan.workspace)
      continue;
    storage::demo_target target;
    target.account = cast.accounts[i];
    const bool first = post.targets.empty();
    switch (plan.status) {
      case post_status::published:
        target.status = target_status::published;
        target.published_at = *post.published_at + 300ms;
        target.external_id = "demo-" + std::to_string(number) + '-' + std::to_string(i);
        break;
      case post_status::publishing:
        if (first) {
          target.status = target_status::published;
          target.published_at = *post.scheduled_at + 400ms;
          target.external_id = "demo-" + std::to_string(number) + '-' + std::to_string(i);
        } else {
          target.status = target_status::publishing;
          target.error_code = "EXCEPTION";
          target.error_message = "The network could not be reached.";
          target.retry_count = 1;
          target.next_action_at = now + 4min;
        }
        break;
      case post_status::failed:
        target.status = target_status::failed;
        target.error_code = "PUBLISH_ERROR";
        target.error_message = plan.note;
        break;
      default:
        break;
    }
    post.targets.push_back(std::move(target));
    // Drafts and half of the others go to one account only.
    if (plan.status != post_status::publishing
        && (plan.status == post_status::draft || number % 2 == 0))
      return;
  }
}

storage::demo_post make_post(const post_plan& plan, std::size_t number, const demo_cast& cast,
                             instant now) {
  using enum post_status;
  const auto* zone = zones[plan.workspace];
  auto when = on_day(now, plan.days, plan.time, zone);
  // Today's events lie behind us, whatever the hour.
  if (plan.days <= 0 && when > now - 10min)
    when = now - 10min;
  storage::demo_post post;
  post.workspace = cast.workspaces[plan.workspace];
  post.author = cast.users[plan.author];
  post.text = plan.text;
  post.hashtags = plan.hashtags;
  post.link_url = plan.link;
  post.status = plan.status;
  const auto last = std::min(when, now - 20min);
  const bool had_schedule = plan.status == scheduled || plan.status == publishing
                            || plan.status == published || plan.status == failed
                            || plan.status == cancelled;
  post.created_at = last - (had_schedule ? 50h : 3h);
  if (plan.status != draft)
    post.submitted_at = post.created_at + 40min;
  if (had_schedule) {
    post.scheduled_at = when;
    post.scheduled_zone = zone;
  }
  if (plan.status == published)
    post.published_at = when + 1s;
  if (plan.status == rejected) {
    post.rejection_reason = plan.note;
    post.decision = {cast.users[admin], approval_decision::rejected, {}, last};
  } else if (plan.status == approved || had_schedule) {
    post.decision = {cast.users[plan.author == admin ? owner : admin], approval_decision::approved,
                     plan.status == approved ? plan.note : "", *post.submitted_at + 65min};
  }
  add_targets(post, plan, cast, number, now);
  return post;
}

// -- notifications ------------------------------------------------------------

enum class subject : std::uint8_t {
  none,
  submitted_post,
  approved_post,
  rejected_post,
  published_post,
  failed_post,
  scheduled_post,
  inbox,
  accounts,
  approvals,
  privacy,
};

struct notice_plan {
  notification_type type;
  subject about;
  std::size_t least; ///< The user with the least rights who gets it.
  const char* title;
  const char* message; ///< `{post}`, `{person}` and `{number}` are filled in.
};

constexpr notice_plan notice_plans[] = {
  {notification_type::post_published, subject::published_post, viewer,
   "Post published successfully", "\"{post}\" has been published."},
  {notification_type::new_comment, subject::inbox, viewer, "New comment",
   "{person} commented: \"Does it fit through an 80 cm door?\""},
  {notification_type::post_submitted, subject::submitted_post, admin, "Post submitted for approval",
   "Emma Lindqvist submitted \"{post}\" for approval."},
  {notification_type::post_scheduled, subject::scheduled_post, editor, "Post scheduled",
   "\"{post}\" is scheduled."},
  {notification_type::new_mention, subject::inbox, viewer, "New mention",
   "{person} mentioned you: \"Loving my Hauler, thanks @acme!\""},
  {notification_type::post_approved, subject::approved_post, editor, "Post approved",
   "\"{post}\" was approved."},
  {notification_type::inbox_assigned, subject::inbox, editor, "Conversation assigned to you",
   "A message from {person} was assigned to you."},
  {notification_type::new_comment, subject::inbox, viewer, "New comments",
   "{number} new comments on your posts, the latest from {person}."},
  {notification_type::post_failed, subject::failed_post, editor, "Post failed to publish",
   "\"{post}\" could not be published: the attachment was refused."},
  {notification_type::payment_failed, subject::none, owner, "Payment failed",
   "The card ending in 4412 was declined for invoice 2026-11{number}. We try again in three days."},
  {notification_type::member_added, subject::none, admin, "New member",
   "{person} joined the workspace."},
  {notification_type::account_token_expiring, subject::accounts, admin, "Account needs attention",
   "The token of @acme_care expires in {number} days. Reconnect it to keep publishing."},
  {notification_type::post_rejected, subject::rejected_post, editor, "Post rejected",
   "\"{post}\" was sent back with a comment."},
  {notification_type::new_mention, subject::inbox, viewer, "New mentions",
   "You were mentioned {number} times since yesterday."},
  {notification_type::post_published, subject::published_post, viewer,
   "Post published successfully", "\"{post}\" has been published."},
  {notification_type::subscription_renewed, subject::none, owner, "Subscription renewed",
   "Your Team plan was renewed for another month."},
  {notification_type::ticket_replied, subject::none, admin, "Support replied",
   "{person} from support answered ticket #18{number}."},
  {notification_type::account_connected, subject::accounts, admin, "Account connected",
   "{person} connected @acme_europe."},
  {notification_type::invitation_accepted, subject::none, admin, "Invitation accepted",
   "{person} accepted your invitation."},
  {notification_type::new_comment, subject::inbox, viewer, "New comment",
   "{person} commented: \"When do you come to Vienna?\""},
  {notification_type::role_changed, subject::none, editor, "Role changed",
   "{person} is now an editor in Acme Americas."},
  {notification_type::account_token_expired, subject::accounts, admin, "Account disconnected",
   "The token of @acme_us expired. Posts to it wait until it is connected again."},
  {notification_type::data_export_ready, subject::privacy, owner, "Your export is ready",
   "The export of your data can be downloaded for seven days."},
  {notification_type::maintenance_scheduled, subject::none, viewer, "Maintenance on Sunday",
   "Carillon is updated on Sunday between 04:00 and 04:15 UTC. Scheduled posts go out on time."},
  {notification_type::ticket_created, subject::none, admin, "Ticket received",
   "We received ticket #18{number} and answer within a working day."},
  {notification_type::post_scheduled, subject::scheduled_post, editor, "Post scheduled",
   "\"{post}\" is scheduled."},
  {notification_type::trial_ending, subject::none, owner, "Your trial ends soon",
   "Your trial ends in {number} days. Choose a plan to keep your schedule."},
  {notification_type::inbox_assigned, subject::inbox, editor, "Conversation assigned to you",
   "A question from {person} was assigned to you."},
  {notification_type::member_removed, subject::none, admin, "Member left",
   "{person} left the workspace."},
  {notification_type::system_announcement, subject::none, viewer, "New: Mastodon and Bluesky",
   "You can now publish to the two open networks. Connect an account under Social accounts."},
  {notification_type::ticket_resolved, subject::none, admin, "Ticket resolved",
   "Ticket #18{number} was resolved. Tell us if it was not."},
  {notification_type::post_submitted, subject::submitted_post, admin, "Post submitted for approval",
   "Emma Lindqvist submitted \"{post}\" for approval."},
  {notification_type::account_disconnected, subject::accounts, admin, "Account disconnected",
   "{person} disconnected @acme_labs."},
  {notification_type::subscription_created, subject::none, owner, "Welcome to the Team plan",
   "Your subscription starts today. The invoice is in your mailbox."},
  {notification_type::data_deletion_scheduled, subject::privacy, owner, "Deletion scheduled",
   "The account of a former member is deleted in {number} days."},
  {notification_type::invitation_received, subject::none, viewer, "You are invited",
   "{person} invited you to Acme Americas."},
  {notification_type::data_deletion_completed, subject::privacy, owner, "Deletion completed",
   "The account of a former member was deleted."},
  {notification_type::trial_ended, subject::none, owner, "Your trial has ended",
   "Your trial has ended. Your posts are safe; publishing continues with a plan."},
  {notification_type::subscription_cancelled, subject::none, owner, "Add-on cancelled",
   "The analytics add-on ends with this billing period."},
};

constexpr std::array<const char*, 12> people = {
  "Aylin Demir",   "Jonas Weber",  "Priya Raman",    "Marta Kowalska", "Luis Ortega",
  "Sophie Martin", "Daniel Okafor", "Ingrid Solberg", "Kenji Watanabe", "Hannah Fischer",
  "Tom Gallagher", "Leila Haddad"};

void replace_word(std::string& text, std::string_view word, const std::string& with) {
  const auto at = text.find(word);
  if (at != std::string::npos)
    text.replace(at, word.size(), with);
}

std::optional<post_status> status_of(subject about) {
  switch (about) {
    case subject::submitted_post:
      return post_status::submitted;
    case subject::approved_post:
      return post_status::approved;
    case subject::rejected_post:
      return post_status::rejected;
    case subject::published_post:
      return post_status::published;
    case subject::failed_post:
      return post_status::failed;
    case subject::scheduled_post:
      return post_status::scheduled;
    default:
      return std::nullopt;
  }
}

/// The `turn`-th of the posts in that status, latest first, round and round.
const storage::demo_post& pick_post(const std::vector<storage::demo_post>& posts,
                                    post_status status, std::size_t turn) {
  std::vector<const storage::demo_post*> fitting;
  for (const auto& post : posts)
    if (post.status == status)
      fitting.push_back(&post);
  std::stable_sort(fitting.begin(), fitting.end(), [](const auto* a, const auto* b) {
    return a->created_at > b->created_at;
  });
  return *fitting[turn % fitting.size()];
}

storage::demo_notification make_notice(const notice_plan& plan, std::size_t turn,
                                       const demo_cast& cast,
                                       const std::vector<storage::demo_post>& posts) {
  storage::demo_notification out;
  out.type = plan.type;
  out.title = plan.title;
  out.message = plan.message;
  replace_word(out.message, "{person}", people[turn % people.size()]);
  replace_word(out.message, "{number}", std::to_string(2 + turn * 7 % 11));
  const auto workspace = to_string(cast.workspaces[turn % cast.workspaces.size()]);
  if (const auto status = status_of(plan.about)) {
    const auto& post = pick_post(posts, *status, turn);
    replace_word(out.message, "{post}", excerpt(post.text));
    const auto home = to_string(post.workspace);
    out.data = nlohmann::json{{"post_id", to_string(post.id)}, {"workspace_id", home}}.dump();
    out.action_url = "/app/w/" + home + "/posts/" + to_string(post.id) + "/edit";
  } else if (plan.about == subject::inbox) {
    out.data = nlohmann::json{{"workspace_id", workspace}}.dump();
    out.action_url = "/app/w/" + workspace + "/inbox";
  } else if (plan.about == subject::accounts) {
    out.data = nlohmann::json{{"workspace_id", workspace}}.dump();
    out.action_url = "/app/w/" + workspace + "/social-accounts";
  } else if (plan.about == subject::privacy) {
    out.action_url = "/app/settings/privacy";
  }
  return out;
}

/// Sets when it came, was mailed and read. The newest third is unread.
void set_times(storage::demo_notification& notice, std::size_t index, std::size_t count,
               instant now) {
  // Denser towards today: the oldest is 45 days old.
  const auto share = static_cast<double>(index + 1) / static_cast<double>(count);
  const auto age = minutes{9 + static_cast<std::int64_t>(std::pow(share, 2.0) * 45 * 24 * 60)};
  notice.created_at = now - age;
  // Every ninth has its mail switched off; one mail bounced.
  if (index % 9 != 4)
    notice.mailed_at = notice.created_at + 3s;
  if (index == 22) {
    notice.mailed_at = notice.created_at + 3s;
    notice.mail_failure = "550 5.1.1 mailbox unavailable";
  }
  if (index >= (count + 2) / 3)
    notice.read_at = std::min(now, notice.created_at + minutes{5 + index * 17 % 180});
}

} // namespace

storage::demo_company make_demo_company(const std::string& password_hash, instant now) {
  storage::demo_company out;
  out.name = "Acme";
  out.slug = demo_tenant_slug;
  out.website = "https://acme.example";
  out.time_zone = zones[europe];
  out.created_at = now - std::chrono::days{60};
  const auto add = [&](const char* email, const char* name, const char* zone, tenant_role role,
                       workspace_role rights) {
    storage::demo_user user;
    user.email = email;
    user.name = name;
    user.time_zone = zone;
    user.role = role;
    user.workspace_rights = rights;
    user.password_hash = password_hash;
    out.users.push_back(std::move(user));
  };
  add("owner@acme.example", "Olivia Brandt", zones[europe], tenant_role::owner,
      workspace_role::owner);
  add("admin@acme.example", "Adrian Cole", zones[americas], tenant_role::admin,
      workspace_role::admin);
  add("editor@acme.example", "Emma Lindqvist", zones[europe], tenant_role::member,
      workspace_role::editor);
  add("viewer@acme.example", "Victor Hale", zones[americas], tenant_role::member,
      workspace_role::viewer);
  storage::demo_workspace first;
  first.name = "Acme Europe";
  first.slug = "acme-europe";
  first.description = "Cargo bikes from Berlin: news, stories and service for Europe.";
  first.time_zone = zones[europe];
  first.color = "#0F766E";
  storage::demo_workspace second;
  second.name = "Acme Americas";
  second.slug = "acme-americas";
  second.description = "The Brooklyn team: showroom, dealers and customers in the Americas.";
  second.time_zone = zones[americas];
  second.color = "#B45309";
  out.workspaces = {std::move(first), std::move(second)};
  return out;
}

const std::vector<demo_account>& demo_accounts() {
  static const std::vector<demo_account> all = {
    {europe, "acme_europe", "Acme Cargo Bikes", network::mastodon},
    {europe, "acme_care", "Acme Care", network::bluesky},
    {americas, "acme_us", "Acme USA", network::mastodon},
    {americas, "acme_brooklyn", "Acme Brooklyn", network::mastodon},
  };
  return all;
}

std::vector<storage::demo_post> make_demo_posts(const demo_cast& cast, instant now) {
  std::vector<storage::demo_post> out;
  for (const auto& plan : post_plans())
    out.push_back(make_post(plan, out.size() + 1, cast, now));
  return out;
}

std::vector<storage::demo_notification>
make_demo_notifications(const demo_cast& cast, const std::vector<storage::demo_post>& posts,
                        instant now) {
  // Owner, admin, editor, viewer: together demo_notification_count.
  constexpr std::array<std::size_t, 4> counts = {80, 60, 40, 20};
  std::vector<storage::demo_notification> out;
  for (std::size_t user = 0; user < counts.size(); ++user) {
    std::size_t turn = user * 3;
    for (std::size_t i = 0; i < counts[user]; ++turn) {
      const auto& plan = notice_plans[turn % std::size(notice_plans)];
      if (user > plan.least)
        continue;
      auto notice = make_notice(plan, turn, cast, posts);
      notice.user = cast.users[user];
      set_times(notice, i, counts[user], now);
      out.push_back(std::move(notice));
      ++i;
    }
  }
  return out;
}

} // namespace carillon::app
