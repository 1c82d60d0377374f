// Filters and orders of features: any text becomes SQL that SQLite takes, or is refused.
#include <SQLiteCpp/SQLiteCpp.h>

#include "storage/feature_query.h"
#include "tests/fuzz/target.h"

namespace {

// Knows every name that is not empty.
class AnyName : public saed::storage::NameLookup {
 public:
  Found Find(Kind, const std::string& name) override { return {!name.empty(), 0, "flash"}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace saed;
  auto parts = fuzz::Parts(fuzz::Text(data, size));
  parts.resize(2);
  AnyName names;
  const auto sql = storage::FeatureQueryToSql(parts[0], parts[1], names);
  if (sql.ok()) {
    // Every value has its question mark: texts from outside never become SQL.
    const std::string whole = sql->first + sql->joins + sql->where;
    size_t marks = 0;
    for (const char c : whole) marks += c == '?';
    fuzz::Require(marks == sql->values.size());
  }
  return 0;
}
