#include "http/sandbox/network.hpp"

#include "domain/text.hpp"
#include "http/sandbox/picture.hpp"

#include <algorithm>
#include <charconv>

namespace carillon::http::sandbox {

namespace {

using std::chrono::milliseconds;

failure refused(std::string message) {
  return {errc::invalid_argument, std::move(message), {}, {}};
}

failure missing(std::string message = "Record not found") {
  return {errc::not_found, std::move(message), {}, {}};
}

std::string joined(std::string_view account, std::string_view rest) {
  std::string out;
  out.reserve(account.size() + 1 + rest.size());
  out += account;
  out += '\n';
  out += rest;
  return out;
}

bool is_for_all(audience a) noexcept {
  return a == audience::everyone || a == audience::unlisted;
}

bool may_see(const post& p, std::string_view viewer) noexcept {
  return is_for_all(p.seen_by) || viewer == p.account;
}

bool is_blank(std::string_view text) noexcept {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

/// The ids of `index` that `which` asks for, newest first.
std::vector<object_id> select(const std::set<object_id>& index,
                              const listing& which) {
  std::vector<object_id> out;
  if (which.min_id) {
    for (auto i = index.upper_bound(*which.min_id);
         i != index.end() && out.size() < which.limit
         && (!which.max_id || *i < *which.max_id);
         ++i)
      out.push_back(*i);
    std::reverse(out.begin(), out.end());
    return out;
  }
  auto i = which.max_id ? index.lower_bound(*which.max_id) : index.end();
  while (i != index.begin() && out.size() < which.limit) {
    --i;
    if (which.since_id && *i <= *which.since_id)
      break;
    out.push_back(*i);
  }
  return out;
}

std::vector<const post*> look_up(const std::map<object_id, post>& posts,
                                 const std::vector<object_id>& ids) {
  std::vector<const post*> out;
  out.reserve(ids.size());
  for (const auto id : ids)
    out.push_back(&posts.at(id));
  return out;
}

} // namespace

std::optional<object_id> parse_object_id(std::string_view text) {
  object_id out = 0;
  const auto* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, out);
  if (text.empty() || at != end || error != std::errc{})
    return std::nullopt;
  return out;
}

bool is_account_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= most_name_bytes && text != "."
         && text != ".." && std::all_of(text.begin(), text.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || (c >= '0' && c <= '9') || c == '_' || c == '-'
                     || c == '.';
            });
}

std::string display_name(std::string_view account_name) {
  std::string out;
  for (auto rest = account_name; !rest.empty();) {
    const auto end = std::min(rest.find_first_of("_-."), rest.size());
    std::string word{rest.substr(0, end)};
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (word.empty())
      continue;
    // Two letters are most often short for something: US, EU.
    const std::size_t capitals = word.size() == 2 ? 2 : 1;
    for (std::size_t i = 0; i < capitals; ++i)
      if (word[i] >= 'a' && word[i] <= 'z')
        word[i] = static_cast<char>(word[i] - 'a' + 'A');
    out += (out.empty() ? "" : " ") + word;
  }
  return out.empty() ? std::string{account_name} : out;
}

std::string_view to_string(audience a) noexcept {
  switch (a) {
  case audience::everyone:
    return "public";
  case audience::unlisted:
    return "unlisted";
  case audience::followers:
    return "private";
  case audience::mentioned:
    return "direct";
  }
  return "public";
}

std::optional<audience> parse_audience(std::string_view text) {
  for (auto a : {audience::everyone, audience::unlisted, audience::followers,
                 audience::mentioned})
    if (text == to_string(a))
      return a;
  return std::nullopt;
}

network::network(capacity most) : most_(most) {}

// -- accounts -----------------------------------------------------------------

result<const account*> network::use_account(std::string_view name,
                                            instant now) {
  if (const auto* known = find_account(name))
    return known;
  if (accounts_.size() >= most_.accounts)
    return failure{errc::forbidden,
                   "This sandbox network has room for "
                     + std::to_string(most_.accounts) + " accounts",
                   {},
                   {}};
  account fresh;
  fresh.name = name;
  fresh.since = now;
  return &accounts_.emplace(fresh.name, std::move(fresh)).first->second;
}

const account* network::find_account(std::string_view name) const {
  const auto i = accounts_.find(name);
  return i == accounts_.end() ? nullptr : &i->second;
}

// -- publishing ---------------------------------------------------------------

object_id network::next_id(instant now) {
  const auto since_1970
    = std::chrono::duration_cast<milliseconds>(now.time_since_epoch()).count();
  const auto first
    = static_cast<object_id>(std::max<std::int64_t>(0, since_1970))
      << id_sequence_bits;
  last_id_ = std::max(first, last_id_ + 1);
  return last_id_;
}

std::optional<failure> network::check(const draft& d) const {
  if (d.idempotency_key.size() > most_key_bytes)
    return refused("Validation failed: Idempotency-Key is too long (maximum is "
                   + std::to_string(most_key_bytes) + " bytes)");
  if (!d.record_key.empty())
    return std::nullopt;
  if (is_blank(d.text) && d.media_ids.empty())
    return refused("Validation failed: Text can't be blank");
  if (character_count(d.text) + character_count(d.spoiler_text)
      > most_characters)
    return refused("Validation failed: Text character limit of "
                   + std::to_string(most_characters) + " exceeded");
  if (d.language.size() > most_name_bytes)
    return refused("Validation failed: Language is invalid");
  if (d.media_ids.size() > most_attachments)
    return refused("Validation failed: Cannot attach more than "
                   + std::to_string(most_attachments) + " files");
  return std::nullopt;
}

result<std::vector<object_id>> network::check_media(std::string_view account,
                                                    const draft& d,
                                                    instant now) const {
  std::vector<object_id> out;
  for (const auto& text : d.media_ids) {
    const auto id = parse_object_id(text);
    const auto* file = id ? find_medium(*id) : nullptr;
    if (!file || file->account != account || file->used_by
        || std::find(out.begin(), out.end(), *id) != out.end())
      return refused("Validation failed: Media with id " + text
                     + " does not exist or is already in use");
    if (file->ready_at > now)
      return refused("Cannot attach files that have not finished processing. "
                     "Try again in a moment!");
    out.push_back(*id);
  }
  return out;
}

result<publish_result> network::publish(std::string_view account, draft d,
                                        instant now, publish_how how) {
  settle(now);
  const auto key = joined(account, d.idempotency_key);
  if (!d.idempotency_key.empty() && !how.ignore_idempotency_keys) {
    if (const auto known = keys_.find(key); known != keys_.end()) {
      const auto first = posts_.find(known->second.post);
      if (first == posts_.end() || first->second.deleted)
        return missing();
      ++repeats_;
      ++first->second.calls;
      return publish_result{&first->second, true};
    }
  }
  if (auto wrong = check(d))
    return *wrong;
  auto media = check_media(account, d, now);
  if (!media)
    return std::move(media).error();
  post fresh;
  if (!d.in_reply_to.empty()) {
    fresh.in_reply_to = parse_object_id(d.in_reply_to);
    const auto* parent = fresh.in_reply_to ? find(*fresh.in_reply_to) : nullptr;
    if (!parent || parent->deleted || !may_see(*parent, account))
      return missing("The post you are trying to reply to does not appear to "
                     "exist.");
  }
  if (auto known = use_account(account, now); !known)
    return std::move(known).error();
  fresh.id = next_id(now);
  fresh.account = account;
  fresh.text = std::move(d.text);
  fresh.seen_by = d.seen_by;
  fresh.media = std::move(*media);
  fresh.idempotency_key = std::move(d.idempotency_key);
  fresh.sensitive = d.sensitive;
  fresh.spoiler_text = std::move(d.spoiler_text);
  fresh.language = std::move(d.language);
  fresh.record_key = std::move(d.record_key);
  fresh.record = std::move(d.record);
  fresh.created_at = now;
  fresh.visible_at = now + how.visibility_delay;
  for (const auto id : fresh.media)
    media_.at(id).used_by = fresh.id;
  return publish_result{&keep(std::move(fresh), now), false};
}

post& network::keep(post p, instant now) {
  auto& kept = posts_.emplace(p.id, std::move(p)).first->second;
  ++accepted_;
  ++revision_;
  if (++said_[joined(kept.account, kept.text)] > 1)
    ++duplicates_;
  auto& by = accounts_.find(kept.account)->second;
  ++by.post_count;
  if (!kept.idempotency_key.empty() && kept.created_at + key_lifetime > now) {
    const auto until = kept.created_at + key_lifetime;
    auto key = joined(kept.account, kept.idempotency_key);
    // The post made first keeps the key, also while keys are ignored.
    if (keys_.emplace(key, used_key{kept.id, until}).second)
      keys_by_age_.emplace_back(until, std::move(key));
  }
  if (!kept.record_key.empty() && !kept.deleted)
    records_.emplace(joined(kept.account, kept.record_key), kept.id);
  if (kept.deleted)
    ++deleted_;
  else if (kept.visible_at <= now)
    show(kept);
  else
    waiting_.emplace(kept.visible_at, kept.id);
  // The new post has the highest id, so it is not the one that goes.
  while (posts_.size() > most_.posts)
    forget_oldest_post();
  return kept;
}

bool network::restore(post p, instant now) {
  if (posts_.contains(p.id) || !is_account_name(p.account)
      || !use_account(p.account, now))
    return false;
  last_id_ = std::max(last_id_, p.id);
  if (auto& since = accounts_.find(p.account)->second.since;
      since > p.created_at)
    since = p.created_at;
  p.visible = false;
  keep(std::move(p), now);
  return true;
}

void network::show(post& p) {
  p.visible = true;
  ++revision_;
  auto& by = accounts_.find(p.account)->second;
  by.shown.insert(p.id);
  shown_.insert(p.id);
  if (is_for_all(p.seen_by))
    by.shown_to_all.insert(p.id);
  if (p.seen_by == audience::everyone)
    shown_in_public_.insert(p.id);
  if (p.in_reply_to)
    replies_[*p.in_reply_to].insert(p.id);
}

void network::hide(post& p) {
  ++revision_;
  waiting_.erase({p.visible_at, p.id});
  p.visible = false;
  if (!p.record_key.empty())
    records_.erase(joined(p.account, p.record_key));
  auto& by = accounts_.find(p.account)->second;
  by.shown.erase(p.id);
  by.shown_to_all.erase(p.id);
  shown_.erase(p.id);
  shown_in_public_.erase(p.id);
  if (!p.in_reply_to)
    return;
  if (const auto siblings = replies_.find(*p.in_reply_to);
      siblings != replies_.end()) {
    siblings->second.erase(p.id);
    if (siblings->second.empty())
      replies_.erase(siblings);
  }
}

void network::forget_oldest_post() {
  const auto oldest = posts_.begin();
  auto& p = oldest->second;
  hide(p);
  if (p.deleted)
    --deleted_;
  const auto said = said_.find(joined(p.account, p.text));
  if (--said->second == 0)
    said_.erase(said);
  --accounts_.find(p.account)->second.post_count;
  posts_.erase(oldest);
}

result<post> network::remove(std::string_view account, object_id id,
                             instant now) {
  settle(now);
  const auto found = posts_.find(id);
  if (found == posts_.end() || found->second.account != account
      || found->second.deleted)
    return missing();
  auto before = found->second;
  restore_removal(id);
  return before;
}

void network::restore_removal(object_id id) {
  const auto found = posts_.find(id);
  if (found == posts_.end() || found->second.deleted)
    return;
  hide(found->second);
  found->second.deleted = true;
  ++deleted_;
}

// -- reading ------------------------------------------------------------------

/// What has become due since the last call.
void network::settle(instant now) {
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    const auto id = waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    show(posts_.at(id));
  }
  while (!keys_by_age_.empty() && keys_by_age_.front().first <= now) {
    keys_.erase(keys_by_age_.front().second);
    keys_by_age_.pop_front();
  }
}

const post* network::find(object_id id) const {
  const auto i = posts_.find(id);
  return i == posts_.end() ? nullptr : &i->second;
}

const post* network::find_record(std::string_view account,
                                 std::string_view record_key) const {
  const auto i = records_.find(joined(account, record_key));
  return i == records_.end() ? nullptr : find(i->second);
}

void network::count_repeat(object_id id) {
  if (const auto found = posts_.find(id); found != posts_.end()) {
    ++found->second.calls;
    ++repeats_;
  }
}

const post* network::find_visible(object_id id, std::string_view viewer,
                                  instant now) {
  settle(now);
  const auto* found = find(id);
  return found && found->visible && may_see(*found, viewer) ? found : nullptr;
}

std::vector<const post*> network::list_account(const account& of,
                                               std::string_view viewer,
                                               const listing& which,
                                               instant now) {
  settle(now);
  return look_up(posts_,
                 select(viewer == of.name ? of.shown : of.shown_to_all, which));
}

std::vector<const post*> network::list_public(const listing& which,
                                              instant now) {
  settle(now);
  return look_up(posts_, select(shown_in_public_, which));
}

std::vector<const post*> network::list_visible(const listing& which,
                                               instant now) {
  settle(now);
  return look_up(posts_, select(shown_, which));
}

std::vector<const post*> network::list_not_visible_yet(std::size_t limit,
                                                       instant now) {
  settle(now);
  std::vector<const post*> out;
  for (auto i = waiting_.begin(); i != waiting_.end() && out.size() < limit;
       ++i)
    out.push_back(&posts_.at(i->second));
  return out;
}

std::vector<const post*> network::list_replies(object_id to, std::size_t limit,
                                               instant now) {
  settle(now);
  std::vector<const post*> out;
  const auto found = replies_.find(to);
  if (found == replies_.end())
    return out;
  for (const auto id : found->second) {
    if (out.size() == limit)
      break;
    out.push_back(&posts_.at(id));
  }
  return out;
}

std::size_t network::count_replies(object_id to) const {
  const auto found = replies_.find(to);
  return found == replies_.end() ? 0 : found->second.size();
}

const std::map<object_id, post>& network::all_posts(instant now) {
  settle(now);
  return posts_;
}

// -- files --------------------------------------------------------------------

result<const medium*> network::add_medium(std::string_view account, upload file,
                                          milliseconds processing,
                                          instant now) {
  if (file.bytes.empty())
    return refused("Validation failed: File can't be blank");
  if (file.bytes.size() > most_media_bytes)
    return refused("Validation failed: File must be less than "
                   + std::to_string(most_media_bytes / (1024 * 1024)) + " MB");
  if (character_count(file.description) > most_description)
    return refused("Validation failed: Description character limit of "
                   + std::to_string(most_description) + " exceeded");
  const auto kind = picture_type(file.bytes);
  if (!kind && !is_film_or_sound(file.mime_type))
    return refused("Validation failed: File content type is invalid, File is "
                   "invalid");
  if (auto known = use_account(account, now); !known)
    return std::move(known).error();
  medium fresh;
  fresh.id = next_id(now);
  fresh.account = account;
  fresh.mime_type = kind ? std::string{*kind} : file.mime_type;
  fresh.file_name = std::move(file.file_name);
  fresh.description = std::move(file.description);
  fresh.size = file.bytes.size();
  if (const auto size = measure_picture(file.bytes)) {
    fresh.width = size->width;
    fresh.height = size->height;
  }
  fresh.ready_at = now + processing;
  if (kind && fresh.size <= most_.picture_bytes) {
    picture_bytes_ += fresh.size;
    fresh.bytes = std::make_shared<const std::string>(std::move(file.bytes));
    pictures_.push_back(fresh.id);
  }
  ++revision_;
  const auto id = fresh.id;
  media_.emplace(id, std::move(fresh));
  while (picture_bytes_ > most_.picture_bytes) {
    auto& oldest = media_.at(pictures_.front());
    picture_bytes_ -= oldest.size;
    oldest.bytes.reset();
    pictures_.pop_front();
  }
  while (media_.size() > most_.media)
    forget_oldest_medium();
  return find_medium(id);
}

void network::forget_oldest_medium() {
  const auto oldest = media_.begin();
  if (oldest->second.bytes) {
    picture_bytes_ -= oldest->second.size;
    // Pictures go in the order in which files come.
    pictures_.pop_front();
  }
  media_.erase(oldest);
}

const medium* network::find_medium(object_id id) const {
  const auto i = media_.find(id);
  return i == media_.end() ? nullptr : &i->second;
}

result<const medium*> network::describe_medium(std::string_view account,
                                               object_id id, std::string text) {
  const auto found = media_.find(id);
  if (found == media_.end() || found->second.account != account
      || found->second.used_by)
    return missing();
  if (character_count(text) > most_description)
    return refused("Validation failed: Description character limit of "
                   + std::to_string(most_description) + " exceeded");
  found->second.description = std::move(text);
  ++revision_;
  return &found->second;
}

// -- all of it ----------------------------------------------------------------

void network::reset() {
  // Ids stay unique, and a page sees that something changed.
  const auto last_id = last_id_;
  const auto revision = revision_;
  *this = network{most_};
  last_id_ = last_id;
  revision_ = revision + 1;
}

network_counts network::counts(instant now) {
  settle(now);
  network_counts out;
  out.posts = accepted_;
  out.kept = posts_.size();
  out.visible = shown_.size();
  out.not_visible_yet = waiting_.size();
  out.deleted = deleted_;
  out.accounts = accounts_.size();
  out.media = media_.size();
  out.idempotent_repeats = repeats_;
  out.duplicates = duplicates_;
  return out;
}

std::uint64_t network::revision(instant now) {
  settle(now);
  return revision_;
}

} // namespace carillon::http::sandbox
