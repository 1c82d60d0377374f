// page.html, with one place for the data.
#pragma once

namespace saed::report {

extern const char kPage[];

}  // namespace saed::report
