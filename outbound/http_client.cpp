#include "outbound/http_client.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include <sys/socket.h>
#include <unistd.h>

namespace carillon::outbound {

namespace {

using clock = std::chrono::steady_clock;
using delivery = http_response::delivery;

constexpr std::size_t max_header_bytes = 64 * 1024;

struct header_list_closer {
  void operator()(curl_slist* list) const noexcept {
    curl_slist_free_all(list);
  }
};
using header_list = std::unique_ptr<curl_slist, header_list_closer>;

struct mime_closer {
  void operator()(curl_mime* mime) const noexcept {
    curl_mime_free(mime);
  }
};
using mime_handle = std::unique_ptr<curl_mime, mime_closer>;

struct url_closer {
  void operator()(CURLU* url) const noexcept {
    curl_url_cleanup(url);
  }
};

/// `https://host:port`; nothing for what we do not call.
std::optional<std::string> host_key_of(const std::string& url) {
  std::unique_ptr<CURLU, url_closer> parsed{curl_url()};
  if (!parsed
      || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(),
                      CURLU_DISALLOW_USER)
           != CURLUE_OK)
    return std::nullopt;
  auto part = [&](CURLUPart which, unsigned flags) {
    char* text = nullptr;
    std::string value;
    if (curl_url_get(parsed.get(), which, &text, flags) == CURLUE_OK)
      value = text;
    curl_free(text);
    return value;
  };
  const auto scheme = part(CURLUPART_SCHEME, 0);
  if (scheme != "http" && scheme != "https")
    return std::nullopt;
  return scheme + "://" + part(CURLUPART_HOST, 0) + ":"
         + part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

bool is_token(std::string_view text) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0
           || others.find(c) != others.npos;
  });
}

/// RFC 9110 §5.5: no control character but the tab.
bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t') || u == 0x7f;
  });
}

/// What the wall in front of private addresses saw of one transfer.
struct address_wall {
  const address_blocks* allowed = nullptr;
  int refused = 0;
  int passed = 0;
};

curl_socket_t open_public_socket(void* wall, curlsocktype,
                                 curl_sockaddr* address) {
  auto& seen = *static_cast<address_wall*>(wall);
  if (!is_public_address(&address->addr) && !seen.allowed->contain(&address->addr)) {
    ++seen.refused;
    return CURL_SOCKET_BAD;
  }
  ++seen.passed;
  return socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
}

errc reason_of(const transfer_report& report) {
  using end = transfer_report::end;
  if (report.how == end::rejected)
    return errc::invalid_argument;
  if (report.how == end::cancelled)
    return errc::cancelled;
  if (report.code == CURLE_URL_MALFORMAT
      || report.code == CURLE_UNSUPPORTED_PROTOCOL)
    return errc::invalid_argument;
  return errc::transient;
}

class http_transfer final : public transfer {
public:
  http_transfer(std::shared_ptr<const http_client_options> options,
                http_request request, http_client::callback done)
    : options_(std::move(options)),
      request_(std::move(request)),
      done_(std::move(done)),
      deadline_(clock::now() + request_.timeout) {
    if (auto key = host_key_of(request_.url))
      host_key_ = std::move(*key);
  }

  const std::string& host_key() const noexcept override {
    return host_key_;
  }

  time_point deadline() const noexcept override {
    return deadline_;
  }

  bool send_once() const noexcept override {
    return request_.method != "GET" && request_.method != "HEAD";
  }

  result<done> prepare(CURL* easy) override {
    if (host_key_.empty())
      return invalid("url", "not an http or https address");
    if (!is_token(request_.method))
      return invalid("method", "not an HTTP method");
    for (auto& [name, value] : request_.headers)
      if (!is_token(name) || !is_field_value(value))
        return invalid("headers", "a header cannot be sent as it is");
    curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, options_->user_agent.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options_->connect_timeout.count()));
    if (!options_->ca_file.empty())
      curl_easy_setopt(easy, CURLOPT_CAINFO, options_->ca_file.c_str());
    if (options_->refuse_private_addresses || request_.refuse_private_addresses) {
      wall_.allowed = &options_->allowed_addresses;
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &open_public_socket);
      curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &wall_);
      curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &http_transfer::on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &http_transfer::on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    add_headers(easy);
    return add_body(easy);
  }

  void finish(const transfer_report& report) override {
    response_.detail = report.detail;
    if (report.easy != nullptr) {
      response_.tried = true;
      long status = 0;
      curl_easy_getinfo(report.easy, CURLINFO_RESPONSE_CODE, &status);
      response_.status = static_cast<int>(status);
    }
    if (!report.started) {
      response_.how = delivery::not_sent;
      response_.why = file_is_missing_ ? errc::not_found : reason_of(report);
      if (wall_.refused > 0 && wall_.passed == 0 && response_.why == errc::transient) {
        response_.why = errc::forbidden;
        response_.detail = "the host has no public address";
      }
    } else if (report.how == transfer_report::end::completed
               || response_.body_truncated) {
      response_.how = delivery::answered;
    } else {
      response_.how = delivery::no_answer;
      response_.why = errc::outcome_unknown;
    }
    done_(std::move(response_));
  }

private:
  void add_headers(CURL* easy) {
    auto append = [this](const std::string& line) {
      headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
    };
    append("Expect:");
    for (auto& [name, value] : request_.headers)
      append(value.empty() ? name + ";" : name + ": " + value);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
  }

  result<done> add_body(CURL* easy) {
    if (request_.file)
      if (auto taken = take_file(); !taken)
        return taken;
    if (request_.method == "HEAD") {
      curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (!request_.form.empty()) {
      mime_.reset(curl_mime_init(easy));
      for (auto& part : request_.form)
        if (!add_part(part))
          return unreadable(part.path);
      curl_easy_setopt(easy, CURLOPT_MIMEPOST, mime_.get());
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    } else if (request_.method == "POST" || !request_.body.empty()) {
      curl_easy_setopt(easy, CURLOPT_POST, 1L);
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body.data());
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request_.body.size()));
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    } else if (request_.method != "GET") {
      curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    }
    return done{};
  }

  static std::string name_of(const std::string& path) {
    return path.substr(path.find_last_of('/') + 1);
  }

  failure unreadable(const std::string& path) {
    file_is_missing_ = true;
    return {errc::not_found, "the file " + name_of(path) + " cannot be read", {}, {}};
  }

  std::optional<std::string> find_file(const std::string& path) const {
    if (!options_->find_file)
      return path;
    auto found = options_->find_file(path);
    return found ? std::optional{std::move(*found)} : std::nullopt;
  }

  result<done> take_file() {
    const auto& [path, most] = *request_.file;
    const auto where = find_file(path);
    std::ifstream in;
    if (where)
      in.open(*where, std::ios::binary);
    if (!in.is_open())
      return unreadable(path);
    request_.body.resize(most + 1);
    in.read(request_.body.data(), static_cast<std::streamsize>(request_.body.size()));
    request_.body.resize(static_cast<std::size_t>(in.gcount()));
    if (in.bad())
      return unreadable(path);
    if (request_.body.size() > most)
      return invalid("file", "the file " + name_of(path) + " has more than " + std::to_string(most) + " bytes");
    return done{};
  }

  bool add_part(const form_part& part) {
    auto* out = curl_mime_addpart(mime_.get());
    curl_mime_name(out, part.name.c_str());
    if (part.path.empty()) {
      curl_mime_data(out, part.value.data(), part.value.size());
    } else {
      const auto where = find_file(part.path);
      if (!where || access(where->c_str(), R_OK) != 0 || curl_mime_filedata(out, where->c_str()) != CURLE_OK)
        return false;
      // Else it would be the name within the store.
      curl_mime_filename(out, name_of(part.path).c_str());
    }
    if (!part.file_name.empty())
      curl_mime_filename(out, part.file_name.c_str());
    if (!part.content_type.empty())
      curl_mime_type(out, part.content_type.c_str());
    return true;
  }

  static std::size_t on_header(char* data, std::size_t size,
                               std::size_t count, void* self) {
    return static_cast<http_transfer*>(self)->take_header(
             {data, size * count})
             ? size * count
             : 0;
  }

  static std::size_t on_body(char* data, std::size_t size, std::size_t count,
                             void* self) {
    return static_cast<http_transfer*>(self)->take_body({data, size * count})
             ? size * count
             : 0;
  }

  bool take_header(std::string_view line) {
    header_bytes_ += line.size();
    if (header_bytes_ > max_header_bytes)
      return false;
    if (line.starts_with("HTTP/")) {
      response_.headers.clear(); // 1xx answers come before the real one
      return true;
    }
    const auto colon = line.find(':');
    if (colon == line.npos)
      return true;
    std::string name{line.substr(0, colon)};
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    auto value = line.substr(colon + 1);
    constexpr std::string_view blank = " \t\r\n";
    value.remove_prefix(std::min(value.find_first_not_of(blank), value.size()));
    value = value.substr(0, value.find_last_not_of(blank) + 1);
    response_.headers.emplace_back(std::move(name), value);
    return true;
  }

  bool take_body(std::string_view bytes) {
    const auto room = options_->max_response_bytes - response_.body.size();
    response_.body.append(bytes.substr(0, room));
    response_.body_truncated = bytes.size() > room;
    return !response_.body_truncated;
  }

  std::shared_ptr<const http_client_options> options_;
  http_request request_;
  http_client::callback done_;
  time_point deadline_;
  std::string host_key_;
  bool file_is_missing_ = false;
  header_list headers_;
  mime_handle mime_;
  std::size_t header_bytes_ = 0;
  address_wall wall_;
  http_response response_;
};

} // namespace

std::string_view
http_response::header(std::string_view lower_case_name) const noexcept {
  for (auto& [name, value] : headers)
    if (name == lower_case_name)
      return value;
  return {};
}

http_client::http_client(curl_loop& loop, http_client_options options)
  : loop_(loop),
    options_(std::make_shared<http_client_options>(std::move(options))) {
}

curl_loop::ticket http_client::send(http_request request, callback done) {
  return loop_.start(std::make_unique<http_transfer>(
    options_, std::move(request), std::move(done)));
}

void http_client::cancel(curl_loop::ticket call) {
  loop_.cancel(call);
}

} // namespace carillon::outbound
