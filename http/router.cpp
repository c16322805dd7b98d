#include "http/router.hpp"

#include <algorithm>
#include <stdexcept>

namespace carillon::http {

namespace {

constexpr std::size_t most_segments = 32;

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with('/'))
    path.remove_prefix(1);
  if (path.ends_with('/'))
    path.remove_suffix(1);
  while (!path.empty()) {
    const auto slash = path.find('/');
    out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos)
      break;
    path.remove_prefix(slash + 1);
  }
  return out;
}

bool is_parameter(std::string_view segment) noexcept {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

} // namespace

struct router::node {
  std::map<std::string, std::unique_ptr<node>, std::less<>> named;
  std::unique_ptr<node> parameter;
  std::map<std::string, const route*, std::less<>> methods;
  /// Parameter names belong to a route, as two patterns may name the same
  /// place differently.
  std::map<const route*, std::vector<std::string>> names;

  using segments = std::vector<std::string_view>;

  /// Depth first, static segments first; the first node that knows the
  /// method wins, the others only say what is allowed.
  bool find(const segments& path, std::size_t at, std::string_view method,
            std::vector<std::string_view>& values, route_match& out) const {
    if (at == path.size()) {
      auto i = methods.find(method);
      if (i == methods.end() && method == "HEAD")
        i = methods.find(std::string_view{"GET"});
      if (i == methods.end()) {
        for (const auto& [known, _] : methods)
          out.allowed.push_back(known);
        return false;
      }
      out.found = i->second;
      const auto& parameter_names = names.at(i->second);
      for (std::size_t k = 0; k < values.size(); ++k)
        out.path_params.emplace(parameter_names[k], values[k]);
      return true;
    }
    if (auto i = named.find(path[at]);
        i != named.end() && i->second->find(path, at + 1, method, values, out))
      return true;
    if (parameter && !path[at].empty()) {
      values.push_back(path[at]);
      if (parameter->find(path, at + 1, method, values, out))
        return true;
      values.pop_back();
    }
    return false;
  }
};

router::router(std::vector<route> routes)
  : routes_(std::move(routes)), root_(std::make_unique<node>()) {
  for (const auto& r : routes_) {
    const auto refuse = [&](const char* why) {
      throw std::invalid_argument{r.method + " " + r.pattern + ": " + why};
    };
    const int ways = (r.run ? 1 : 0) + (r.local ? 1 : 0) + (r.start ? 1 : 0);
    if (ways != 1)
      refuse("needs exactly one of run, local and start");
    if (!r.run && r.need != access::open)
      refuse("only a run route passes a gate");
    if (r.stream && !r.run)
      refuse("only a run route has a stream beside it");
    if (r.shared && (!r.run || r.need != access::token))
      refuse("only a run route that needs a token is shared");
    if (!r.pattern.starts_with('/'))
      refuse("a pattern starts with /");
    auto* place = root_.get();
    std::vector<std::string> names;
    for (auto segment : split(r.pattern)) {
      auto* next = &place->parameter;
      if (is_parameter(segment))
        names.emplace_back(segment.substr(1, segment.size() - 2));
      else
        next = &place->named[std::string{segment}];
      if (!*next)
        *next = std::make_unique<node>();
      place = next->get();
    }
    if (r.need == access::workspace
        && std::find(names.begin(), names.end(), "workspace") == names.end())
      refuse("access::workspace needs {workspace} in the pattern");
    if (!place->methods.emplace(r.method, &r).second)
      refuse("this route is there twice");
    place->names.emplace(&r, std::move(names));
  }
}

router::~router() = default;
router::router(router&&) noexcept = default;
router& router::operator=(router&&) noexcept = default;

route_match router::match(std::string_view method,
                          std::string_view path) const {
  route_match out;
  const auto segments = split(path);
  if (!path.starts_with('/') || segments.size() > most_segments)
    return out;
  std::vector<std::string_view> values;
  if (root_->find(segments, 0, method, values, out)) {
    out.allowed.clear();
    return out;
  }
  if (!out.allowed.empty()
      && std::find(out.allowed.begin(), out.allowed.end(), "GET")
           != out.allowed.end())
    out.allowed.emplace_back("HEAD");
  std::sort(out.allowed.begin(), out.allowed.end());
  out.allowed.erase(std::unique(out.allowed.begin(), out.allowed.end()),
                    out.allowed.end());
  return out;
}

} // namespace carillon::http
