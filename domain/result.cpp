#include "domain/result.hpp"

namespace carillon {

std::string_view to_string(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument:
      return "invalid_argument";
    case errc::not_found:
      return "not_found";
    case errc::conflict:
      return "conflict";
    case errc::unauthorized:
      return "unauthorized";
    case errc::forbidden:
      return "forbidden";
    case errc::throttled:
      return "throttled";
    case errc::transient:
      return "transient";
    case errc::permanent:
      return "permanent";
    case errc::outcome_unknown:
      return "outcome_unknown";
    case errc::cancelled:
      return "cancelled";
  }
  return "permanent";
}

} // namespace carillon
