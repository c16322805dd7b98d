#include "tests/support/scratch_folder.hpp"

#include <cstdlib>
#include <stdexcept>

namespace carillon::test {

scratch_folder::scratch_folder() {
  std::string pattern = std::filesystem::temp_directory_path() / "carillon-test-XXXXXX";
  if (!::mkdtemp(pattern.data()))
    throw std::runtime_error{"cannot make a folder"};
  path_ = pattern;
}

scratch_folder::~scratch_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

} // namespace carillon::test
