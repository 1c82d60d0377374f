// Values of a numeric column as people write them: 7, 0-22, 0-1265/2, even, odd.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace saed::recordings {

// One number; an inclusive range "low-high"; every so-manyth of it, "low-high/step", from low on;
// whole numbers that are "even" or "odd".
class ValueRange {
 public:
  // INVALID_ARGUMENT says what is wrong with the text.
  static absl::StatusOr<ValueRange> Parse(const std::string& text);

  // Whether it is one number, which is `number`.
  bool alone() const { return low_ == high_ && step_ == 0; }
  double number() const { return low_; }

  // False for NaN. A value within a millionth of a step of one that is in the range is, too.
  bool Has(double value) const;

 private:
  double low_ = 0, high_ = 0;
  double from_ = 0, step_ = 0;  // step 0: all between
};

}  // namespace saed::recordings
