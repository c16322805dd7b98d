#include "assets/migrations.hpp"
#include "storage/migrator.hpp"

namespace carillon::storage {

const std::vector<migration>& embedded_migrations() {
  static const auto all = [] {
    std::vector<migration> out;
    for (const auto& file : assets::migrations()) {
      auto name = file.name;
      name.remove_suffix(std::string_view{".sql"}.size());
      out.push_back({std::string{name}, file.content});
    }
    return out;
  }();
  return all;
}

} // namespace carillon::storage
