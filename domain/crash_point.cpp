#include "domain/crash_point.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace carillon {

namespace {

struct armed_point {
  std::string name;
  long visit = 1;
};

const armed_point& armed() noexcept {
  static const armed_point point = [] {
    armed_point out;
    if (const char* text = std::getenv("CARILLON_CRASH_POINT")) {
      out.name = text;
      if (const auto colon = out.name.find(':'); colon != std::string::npos) {
        out.visit = std::strtol(out.name.c_str() + colon + 1, nullptr, 10);
        out.name.resize(colon);
      }
    }
    return out;
  }();
  return point;
}

} // namespace

void crash_point(std::string_view name) noexcept {
  if (armed().name.empty() || armed().name != name)
    return;
  static std::atomic<long> visits{0};
  if (++visits == armed().visit) {
    std::fprintf(stderr, "crash point reached: %s\n", armed().name.c_str());
    std::fflush(stderr);
    std::raise(SIGKILL);
  }
}

} // namespace carillon
