// Long arrays as parameters in PostgreSQL's binary form: for what goes through
// by the thousand, where parsing text costs more than storing it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <pqxx/pqxx>

#include "domain/ids.hpp"

namespace carillon::storage {

/// Element types by the ids that PostgreSQL gives them once and for all.
enum class element_type : std::uint32_t { tid = 27, uuid = 2950, jsonb = 3802 };

/// A one-dimensional array without nulls, for a parameter that the statement
/// casts (`$1::uuid[]`): the server takes no other type for it.
class binary_array {
public:
  binary_array(element_type type, std::size_t count) {
    append_number(1, 4);
    append_number(0, 4);
    append_number(static_cast<std::uint32_t>(type), 4);
    append_number(count, 4);
    append_number(1, 4);
  }

  void add(const carillon::uuid& id) {
    append_number(id.bytes.size(), 4);
    bytes_.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
  }
  void add_json(std::string_view text) {
    append_number(text.size() + 1, 4);
    append_number(1, 1);
    bytes_.append(text);
  }
  /// A row's ctid.
  void add_place(std::uint32_t block, std::uint16_t offset) {
    append_number(6, 4);
    append_number(block, 4);
    append_number(offset, 2);
  }

  pqxx::binarystring param() const {
    return pqxx::binarystring{bytes_};
  }

private:
  void append_number(std::uint64_t number, int width) {
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
      bytes_ += static_cast<char>((number >> shift) & 0xff);
  }

  std::string bytes_;
};

/// `{a,b}` for `$1::uuid[]`; `id_of` takes an element to its id.
template <class Range, class IdOf>
pqxx::binarystring binary_ids(const Range& range, IdOf id_of) {
  binary_array out{element_type::uuid, range.size()};
  for (const auto& item : range)
    out.add(id_of(item).value);
  return out.param();
}

} // namespace carillon::storage
