# carillon_options: what every target of ours is compiled with.
add_library(carillon_options INTERFACE)
target_compile_options(carillon_options INTERFACE
  -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Wold-style-cast
  $<$<BOOL:${CARILLON_WERROR}>:-Werror -Wno-error=deprecated-declarations>
  # A unity file is no header: its types may hold types of an anonymous namespace.
  $<$<BOOL:${CMAKE_UNITY_BUILD}>:-Wno-subobject-linkage>
  # Both see ghosts in std::string and std::variant when g++ 12 optimises.
  $<$<CONFIG:Release,RelWithDebInfo>:-Wno-error=restrict -Wno-error=maybe-uninitialized>)
target_include_directories(carillon_options INTERFACE ${PROJECT_SOURCE_DIR})

# carillon_library(name SOURCES... LINK...): one static library a folder.
function(carillon_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC carillon_options ${arg_LINK})
endfunction()
