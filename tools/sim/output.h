#pragma once

// A comparison as text, as a web page, and as figures (DESIGN section 10).

#include <string>
#include <vector>

#include "tools/sim/compare.h"

namespace baton::simulator {

// What the figures are of.
struct Headline {
  std::string trace, curve, half, machine, commit;
  uint32_t prefill = 0, decode = 0;
  int seeds = 0;
  double ttft_slo_s = 0, itl_slo_s = 0;
  bool shares = false;  // the trace names shared blocks
  bool admission = false;
};

std::string AboutRun(const Headline& headline);
std::string ToText(const Headline& headline, const std::vector<Row>& rows);
std::string ToHtml(const Headline& headline, const std::vector<Row>& rows);
// Each policy's goodput beside that of the best other at the same load.
std::string ToJson(const Headline& headline, const std::vector<Row>& rows);

// The best of the others at a row's load; nullptr if there is none.
const Row* BestOther(const std::vector<Row>& rows, const Row& row);

}  // namespace baton::simulator
