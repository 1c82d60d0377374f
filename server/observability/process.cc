#include "server/observability/process.h"

#include <prometheus/metric_family.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace saed::observability {
namespace {

double ToSeconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}

class ProcessCollector : public prometheus::Collectable {
 public:
  ProcessCollector()
      : start_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
                   .count()) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    using Type = prometheus::MetricType;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    double virtual_pages = 0, resident_pages = 0;
    std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
    std::error_code error;
    double descriptors = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/fd", error)) {
      ++descriptors;
    }
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return {
        One("process_cpu_seconds_total", "User and system CPU time.", Type::Counter,
            ToSeconds(usage.ru_utime) + ToSeconds(usage.ru_stime)),
        One("process_resident_memory_bytes", "Resident memory.", Type::Gauge,
            resident_pages * page),
        One("process_virtual_memory_bytes", "Virtual memory.", Type::Gauge, virtual_pages * page),
        One("process_open_fds", "Open file descriptors.", Type::Gauge, descriptors),
        One("process_max_fds", "Most file descriptors.", Type::Gauge,
            static_cast<double>(limit.rlim_cur)),
        One("process_start_time_seconds", "Start of the process, since 1970.", Type::Gauge,
            start_)};
  }

 private:
  static prometheus::MetricFamily One(const char* name, const char* help,
                                      prometheus::MetricType type, double value) {
    prometheus::ClientMetric metric;
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    return {name, help, type, {metric}};
  }
  double start_;
};

}  // namespace

std::shared_ptr<prometheus::Collectable> MakeProcessCollector() {
  return std::make_shared<ProcessCollector>();
}

}  // namespace saed::observability
