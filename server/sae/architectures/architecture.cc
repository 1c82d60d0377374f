#include "server/sae/architectures/architecture.h"

#include <algorithm>

namespace saed::sae {
namespace {

const ArchitectureEntry& Entry(Selection selection) {
  static const ArchitectureEntry entries[] = {TopKEntry(), BatchTopKEntry(), ReluEntry(),
                                              JumpReluEntry(), GatedEntry()};
  return *std::find_if(std::begin(entries), std::end(entries),
                       [&](const auto& e) { return e.selection == selection; });
}

}  // namespace

std::vector<LatentParameter> LatentParameters(const ModelSpec& spec) {
  return Entry(spec.selection).parameters(spec);
}

template <>
std::unique_ptr<Architecture<float>> MakeArchitecture<float>(const ModelSpec& spec) {
  return Entry(spec.selection).make_float(spec);
}
template <>
std::unique_ptr<Architecture<double>> MakeArchitecture<double>(const ModelSpec& spec) {
  return Entry(spec.selection).make_double(spec);
}

int CodeOfRow(const CodeInput& input, const float* z, float* scratch, int32_t* index,
              float* value) {
  return Entry(input.spec.selection).code(input, z, scratch, index, value);
}

template <class T>
std::vector<T> Architecture<T>::Cutoffs(const std::vector<Pass<T>>& passes) const {
  return std::vector<T>(passes.size(), T(0));
}

template class Architecture<float>;
template class Architecture<double>;

}  // namespace saed::sae
