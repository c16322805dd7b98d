# carillon_embed(TARGET NAME FILE...) puts files into a program, byte for byte.
#
#   carillon_embed(carillon_http openapi ${CMAKE_CURRENT_SOURCE_DIR}/openapi.json)
#
#   #include "assets/openapi.hpp"
#   std::string_view text = carillon::assets::openapi().text();   // the only file
#
#   carillon_embed(carillon_storage migrations ${files})
#
#   #include "assets/migrations.hpp"
#   for (const auto& file : carillon::assets::migrations())       // in the order given
#     use(file.name, file.content);                               // "0001_….sql", its bytes
#   carillon::assets::migrations().find("0001_….sql")             // std::optional<std::string_view>
#
# NAME is a C++ identifier, unique in the project. A file's name is its last
# path component. Call it in the CMakeLists.txt that defines TARGET. A changed
# file rebuilds one tiny object, nothing else.

set(CARILLON_ASSETS_DIR ${PROJECT_BINARY_DIR}/generated)

file(CONFIGURE OUTPUT ${CARILLON_ASSETS_DIR}/assets/files.hpp @ONLY CONTENT
[[// Written by cmake/embed.cmake.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace carillon::assets {

struct file {
  std::string_view name;
  std::string_view content;
};

/// Files that are part of the program; they live as long as it does.
class files {
public:
  constexpr files(const file* first, std::size_t count)
    : first_(first), count_(count) {
  }
  const file* begin() const noexcept {
    return first_;
  }
  const file* end() const noexcept {
    return first_ + count_;
  }
  std::size_t size() const noexcept {
    return count_;
  }
  /// Of the first, which is the only one where one was embedded.
  std::string_view text() const noexcept {
    return first_->content;
  }
  std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const auto& f : *this)
      if (f.name == name)
        return f.content;
    return std::nullopt;
  }

private:
  const file* first_;
  std::size_t count_;
};

} // namespace carillon::assets
]])

function(carillon_embed target name)
  set(source ${CARILLON_ASSETS_DIR}/assets/${name}.cpp)
  set(bytes "")
  set(symbols "")
  set(entries "")
  set(index 0)
  foreach(path IN LISTS ARGN)
    get_filename_component(path "${path}" ABSOLUTE)
    get_filename_component(file_name "${path}" NAME)
    set(symbol carillon_asset_${name}_${index})
    # .incbin keeps the bytes as they are and costs no compile time.
    string(APPEND bytes
      "  \".global ${symbol}_begin\\n.global ${symbol}_end\\n\"\n"
      "  \"${symbol}_begin:\\n.incbin \\\"${path}\\\"\\n\"\n"
      "  \"${symbol}_end:\\n.byte 0\\n\"\n")
    string(APPEND symbols
      "extern \"C\" const char ${symbol}_begin[];\n"
      "extern \"C\" const char ${symbol}_end[];\n")
    string(APPEND entries
      "    {\"${file_name}\", {${symbol}_begin, static_cast<std::size_t>(${symbol}_end - ${symbol}_begin)}},\n")
    math(EXPR index "${index} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${CARILLON_ASSETS_DIR}/assets/${name}.hpp @ONLY CONTENT
"// Written by cmake/embed.cmake.
#pragma once

#include \"assets/files.hpp\"

namespace carillon::assets {

files ${name}() noexcept;

} // namespace carillon::assets
")
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT
"// Written by cmake/embed.cmake.
#include \"assets/${name}.hpp\"

__asm__(
  \".pushsection .rodata\\n\"
${bytes}  \".popsection\\n\");

${symbols}
namespace carillon::assets {

files ${name}() noexcept {
  static const file all[] = {
${entries}  };
  return {all, ${index}};
}

} // namespace carillon::assets
")
  # In a unity build the object would not depend on the files.
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${ARGN}" SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${source})
  target_include_directories(${target} PRIVATE ${CARILLON_ASSETS_DIR})
endfunction()
