#include "tools/sim/output.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace baton::simulator {
namespace {

std::string Quantile(const load::Histogram& histogram, double share) {
  const std::optional<double> ms = histogram.QuantileMs(share);
  if (!ms) return "-";
  return *ms < 1000 ? absl::StrFormat("%.0f ms", *ms) : absl::StrFormat("%.2f s", *ms / 1000);
}

double CachedShare(const Row& row) {
  return row.prompt_tokens > 0 ? double(row.cached_tokens) / double(row.prompt_tokens) : 0;
}

double DirectShare(const Row& row) {
  return row.requests > 0 ? double(row.direct) / double(row.requests) : 0;
}

}  // namespace

const Row* BestOther(const std::vector<Row>& rows, const Row& row) {
  const Row* best = nullptr;
  for (const Row& other : rows) {
    if (other.load != row.load || other.policy == row.policy) continue;
    if (best == nullptr || other.Goodput() > best->Goodput()) best = &other;
  }
  return best;
}

std::string AboutRun(const Headline& headline) {
  return absl::StrFormat(
      "%s (%s), %d prefill and %d decode ranks of %s, %d seeds, admission %s; SLO: first token %.3g s, mean "
      "gap %.3g s. Policies were tuned on the first half of traces only.",
      headline.trace, headline.half, headline.prefill, headline.decode, headline.curve, headline.seeds,
      headline.admission ? "on" : "off", headline.ttft_slo_s, headline.itl_slo_s);
}

std::string ToText(const Headline& headline, const std::vector<Row>& rows) {
  std::string out = AboutRun(headline) + "\n";
  double load = -1;
  for (const Row& row : rows) {
    if (row.load != load) {
      load = row.load;
      absl::StrAppendFormat(&out, "\nload %.2f: %.2f requests/s\n", row.load, row.rate);
      absl::StrAppendFormat(&out, "%-24s %9s %6s %9s %9s %8s %8s %7s %7s %9s %9s\n", "policy", "goodput/s",
                            "good", "TTFT p50", "p99", "ITL p50", "p99", "cached", "direct", "balance P",
                            "balance D");
    }
    absl::StrAppendFormat(&out, "%-24s %9.3f %5.1f%% %9s %9s %8s %8s %7s %6.1f%% %9.2f %9.2f\n", row.policy,
                          row.Goodput(), 100 * row.GoodShare(), Quantile(row.ttft, 0.5),
                          Quantile(row.ttft, 0.99), Quantile(row.itl, 0.5), Quantile(row.itl, 0.99),
                          headline.shares ? absl::StrFormat("%.1f%%", 100 * CachedShare(row)) : "-",
                          100 * DirectShare(row), row.prefill_balance, row.decode_balance);
  }
  return out;
}

std::string ToJson(const Headline& headline, const std::vector<Row>& rows) {
  std::string out = absl::StrFormat(
      "{\"machine\": \"%s\", \"commit\": \"%s\", \"trace\": \"%s\", \"half\": \"%s\", \"curve\": \"%s\", "
      "\"prefill\": %d, \"decode\": %d, \"seeds\": %d, \"admission\": %s, \"ttft_slo_s\": %g, "
      "\"itl_slo_s\": %g, \"rows\": [",
      headline.machine, headline.commit, headline.trace, headline.half, headline.curve, headline.prefill,
      headline.decode, headline.seeds, headline.admission ? "true" : "false", headline.ttft_slo_s,
      headline.itl_slo_s);
  bool first = true;
  for (const Row& row : rows) {
    const Row* other = BestOther(rows, row);
    absl::StrAppend(&out, first ? "\n" : ",\n");
    first = false;
    absl::StrAppendFormat(
        &out, "  {\"name\": \"goodput of %s at load %g\", \"value\": %.6g, \"unit\": \"requests/s\"",
        row.policy, row.load, row.Goodput());
    if (other != nullptr) {
      absl::StrAppendFormat(&out, ", \"peer\": \"%s\", \"peer_value\": %.6g, \"ratio\": %.4f", other->policy,
                            other->Goodput(), other->Goodput() > 0 ? row.Goodput() / other->Goodput() : 0);
    }
    absl::StrAppendFormat(
        &out,
        ", \"policy\": \"%s\", \"rate\": %.6g, \"good_share\": %.4f, \"ttft_p50_ms\": %.4g, \"ttft_p99_ms\": "
        "%.4g, \"itl_p50_ms\": %.4g, \"itl_p99_ms\": %.4g, \"direct_share\": %.4f, \"rejected\": %d, "
        "\"refused\": %d, \"preempted\": %d, \"prefill_balance\": %.3f, \"decode_balance\": %.3f, "
        "\"prefill_busy\": %.3f, \"decode_busy\": %.3f",
        row.described, row.rate, row.GoodShare(), row.ttft.QuantileMs(0.5).value_or(0),
        row.ttft.QuantileMs(0.99).value_or(0), row.itl.QuantileMs(0.5).value_or(0),
        row.itl.QuantileMs(0.99).value_or(0), DirectShare(row), row.rejected, row.refused, row.preempted,
        row.prefill_balance, row.decode_balance, row.prefill_busy, row.decode_busy);
    if (headline.shares) absl::StrAppendFormat(&out, ", \"cached_share\": %.4f", CachedShare(row));
    const auto [least, most] = std::minmax_element(row.goodputs.begin(), row.goodputs.end());
    absl::StrAppendFormat(&out, ", \"goodput_least\": %.6g, \"goodput_most\": %.6g, \"by_seed\": [%s]}",
                          *least, *most, absl::StrJoin(row.goodputs, ", "));
  }
  return absl::StrCat(out, "\n]}\n");
}

}  // namespace baton::simulator
