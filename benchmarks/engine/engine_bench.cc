// Prefill and decode speed of a model file on the CPU: engine_bench --model FILE [--threads N] [--quick]
// [--json FILE]. Each figure is the best of several runs, as other work on the machine only ever slows one
// down.

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/model/factory.h"

ABSL_FLAG(std::string, model, "", "GGUF file");
ABSL_FLAG(int, threads, 2, "threads");
ABSL_FLAG(std::string, isa, "", "scalar, avx2 or avx512; the best if empty");
ABSL_FLAG(std::string, commit, "", "commit to name in the figures");
ABSL_FLAG(std::string, machine, "", "machine to name in the figures");
ABSL_FLAG(bool, quick, false, "fewer runs");
ABSL_FLAG(std::string, json, "", "file to write the figures to (DESIGN section 10)");

namespace baton {
namespace {

constexpr int64_t kPrompt = 512;
constexpr int64_t kContext = 128;
constexpr int kMaxBatch = 16;
constexpr int64_t kDecodeSteps = 32;

struct Figure {
  std::string name;
  double tokens_per_second;
  double target;  // 0: none
};

class Bench {
 public:
  Bench(ModelRunner& runner, int runs) : runner_(runner), runs_(runs) {
    tokens_.resize(kPrompt);
    for (int64_t i = 0; i < kPrompt; ++i)
      tokens_[i] = static_cast<TokenId>((i * 7919 + 17) % runner.vocab_size());
    pages_per_sequence_ = runner.kv_layout().PagesFor(kPrompt);
    pages_.resize(pages_per_sequence_ * kMaxBatch);
    std::iota(pages_.begin(), pages_.end(), 0);
    logits_.resize(static_cast<size_t>(kMaxBatch) * runner.vocab_size());
  }

  double Prefill() {
    return Best([&] { Step(1, kPrompt, 0); }, static_cast<double>(kPrompt));
  }

  double Decode(int batch) {
    for (int i = 0; i < batch; ++i) Step(1, kContext, 0, i);
    return Best(
        [&] {
          for (int64_t step = 0; step < kDecodeSteps; ++step) Step(batch, 1, kContext + step);
        },
        static_cast<double>(batch * kDecodeSteps));
  }

 private:
  void Step(int batch, int64_t count, int64_t start, int first_sequence = 0) {
    std::vector<ForwardItem> items;
    for (int i = first_sequence; i < first_sequence + batch; ++i) {
      items.push_back({.tokens = absl::MakeSpan(tokens_).subspan(0, count),
                       .start = start,
                       .pages = absl::MakeSpan(pages_).subspan(i * pages_per_sequence_, pages_per_sequence_),
                       .want_logits = true});
    }
    const size_t rows = items.size() * runner_.vocab_size();
    const absl::Status status = runner_.Forward(items, nullptr, absl::MakeSpan(logits_).subspan(0, rows));
    if (!status.ok()) std::cerr << status << "\n";
  }

  template <typename Fn>
  double Best(Fn fn, double tokens) {
    double best = 0;
    for (int i = 0; i < runs_; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      fn();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      best = std::max(best, tokens / took.count());
    }
    return best;
  }

  ModelRunner& runner_;
  const int runs_;
  std::vector<TokenId> tokens_;
  int64_t pages_per_sequence_;
  std::vector<PageId> pages_;
  std::vector<float> logits_;
};

void WriteJson(const std::string& path, const std::vector<Figure>& figures) {
  std::vector<std::string> rows;
  for (const Figure& f : figures) {
    rows.push_back(absl::StrCat(R"({"name": ")", f.name, R"(", "value": )", f.tokens_per_second,
                                R"(, "unit": "tokens/s", "target": )", f.target, "}"));
  }
  std::ofstream(path) << R"({"machine": ")" << absl::GetFlag(FLAGS_machine) << R"(", "commit": ")"
                      << absl::GetFlag(FLAGS_commit) << R"(", "rows": [)" << absl::StrJoin(rows, ",\n  ")
                      << "]}\n";
}

int Main() {
  LlamaOptions options;
  options.threads = absl::GetFlag(FLAGS_threads);
  options.page_count = kMaxBatch * kPrompt / kAtomTokens;
  for (const kernels::Isa isa : {kernels::Isa::kScalar, kernels::Isa::kAvx2, kernels::Isa::kAvx512}) {
    if (kernels::IsaName(isa) == absl::GetFlag(FLAGS_isa)) options.isa = isa;
  }
  const auto begin = std::chrono::steady_clock::now();
  const auto runner = LoadModel(absl::GetFlag(FLAGS_model), options);
  if (!runner.ok()) {
    std::cerr << runner.status() << "\n";
    return 1;
  }
  const std::chrono::duration<double> loading = std::chrono::steady_clock::now() - begin;
  std::printf("loaded in %.2f s, %s, %d threads\n", loading.count(), kernels::IsaName(options.isa).data(),
              options.threads);
  Bench bench(**runner, absl::GetFlag(FLAGS_quick) ? 2 : 5);
  std::vector<Figure> figures;
  figures.push_back({"prefill of 512 tokens", bench.Prefill(), 130});
  figures.push_back({"decode at context 128, batch 1", bench.Decode(1), 54});
  figures.push_back({"decode at context 128, batch 8", bench.Decode(8), 0});
  figures.push_back({"decode at context 128, batch 16", bench.Decode(16), 0});
  for (const Figure& f : figures) std::printf("%-34s %8.1f tokens/s\n", f.name.c_str(), f.tokens_per_second);
  if (!absl::GetFlag(FLAGS_json).empty()) WriteJson(absl::GetFlag(FLAGS_json), figures);
  return 0;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return baton::Main();
}
