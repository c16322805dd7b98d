#include "tests/support/web_client.hpp"

#include <algorithm>
#include <memory>

#include <curl/curl.h>

namespace carillon::test {

namespace {

std::size_t append(char* data, std::size_t size, std::size_t count, void* out) {
  static_cast<std::string*>(out)->append(data, size * count);
  return size * count;
}

} // namespace

nlohmann::json web_answer::json() const {
  auto parsed = nlohmann::json::parse(body, nullptr, false);
  return parsed.is_discarded() ? nlohmann::json{} : parsed;
}

web_answer web_client::send(const std::string& method, const std::string& path,
                            const std::string& body, const std::vector<std::string>& headers) const {
  const std::unique_ptr<CURL, void (*)(CURL*)> easy{curl_easy_init(), curl_easy_cleanup};
  curl_slist* list = nullptr;
  for (const auto& header : headers)
    list = curl_slist_append(list, header.c_str());
  if (!token_.empty())
    list = curl_slist_append(list, ("Authorization: Bearer " + token_).c_str());
  const bool has_type = std::any_of(headers.begin(), headers.end(),
                                    [](const auto& header) { return header.starts_with("Content-Type:"); });
  if (!has_type)
    list = curl_slist_append(list, "Content-Type: application/json");
  list = curl_slist_append(list, "Expect:");
  const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned{list, curl_slist_free_all};

  web_answer out;
  curl_easy_setopt(easy.get(), CURLOPT_URL, (base_url_ + path).c_str());
  curl_easy_setopt(easy.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list);
  if (method != "GET") {
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body.data());
  }
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 20'000L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &out.body);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, append);
  curl_easy_setopt(easy.get(), CURLOPT_HEADERDATA, &out.headers);
  curl_easy_perform(easy.get());
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  out.status = static_cast<int>(status);
  return out;
}

web_answer web_client::get(const std::string& path) const {
  return send("GET", path, {});
}

web_answer web_client::post(const std::string& path, const nlohmann::json& body) const {
  return send("POST", path, body.dump());
}

web_answer web_client::put(const std::string& path, const nlohmann::json& body) const {
  return send("PUT", path, body.dump());
}

} // namespace carillon::test
