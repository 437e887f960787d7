#include "tools/report/axis.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace baton::report {
namespace {

double NiceStep(double wide, int about) {
  const double raw = wide / std::max(about, 1);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double step : {1.0, 2.0, 5.0}) {
    if (step * power >= raw * 0.999) return step * power;
  }
  return 10 * power;
}

std::string WithCommas(double whole) {
  const std::string digits = absl::StrFormat("%.0f", std::abs(whole));
  std::string out = whole < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

}  // namespace

bool Drawable(double value) {
  return std::isfinite(value) && std::abs(value) < 1e15;
}

std::string FormatFigure(double value) {
  if (!std::isfinite(value)) return "?";
  const double size = std::abs(value);
  if (size >= 1e12) return absl::StrFormat("%.3g", value);
  if (size >= 1e9) return absl::StrFormat("%.3g G", value / 1e9);
  if (size >= 999999.5) return absl::StrFormat("%.3g M", value / 1e6);
  if (size >= 999.5) return WithCommas(value);
  if (size < 1e-4) return size == 0 ? "0" : absl::StrFormat("%.2g", value);
  return absl::StrFormat("%.3g", value);
}

std::string FormatTick(double value, Unit unit) {
  switch (unit) {
    case Unit::kPlain:
      return FormatFigure(value);
    case Unit::kMs:
      if (value == 0) return "0";
      return std::abs(value) >= 1000 ? FormatFigure(value / 1000) + " s" : FormatFigure(value) + " ms";
    case Unit::kSeconds:
      return FormatFigure(value) + " s";
    case Unit::kPercent:
      return FormatFigure(value) + "%";
  }
  return "";
}

std::vector<double> NiceTicks(double least, double most, int about) {
  std::vector<double> ticks;
  if (!Drawable(least) || !Drawable(most) || !(least < most)) return ticks;
  const double step = NiceStep(most - least, about);
  const double first = std::ceil(least / step - 1e-9), last = std::floor(most / step + 1e-9);
  for (double i = first; i <= last && ticks.size() < static_cast<size_t>(4 * about); ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

std::vector<double> LogTicks(double least, double most) {
  std::vector<double> ticks, fine;
  if (!Drawable(most) || !(least > 0) || !(least < most)) return ticks;
  const int first = static_cast<int>(std::floor(std::log10(least)));
  const int last = static_cast<int>(std::ceil(std::log10(most)));
  for (int power = first; power <= last; ++power) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double value = digit * std::pow(10, power);
      if (value < least * 0.999 || value > most * 1.001) continue;
      fine.push_back(value);
      if (digit == 1) ticks.push_back(value);
    }
  }
  if (ticks.size() >= 3) return ticks;
  return fine.size() >= 3 ? fine : NiceTicks(least, most, 5);
}

Axis::Axis(double least, double most, bool logarithmic, double from, double to)
    : least_(least), most_(most), logarithmic_(logarithmic && least > 0), from_(from), to_(to) {
  if (!Drawable(least_)) least_ = 0;
  if (!Drawable(most_)) most_ = 1;
  if (most_ > least_) return;
  if (logarithmic_) {
    most_ = least_ * 1.1;
    least_ /= 1.1;
  } else {
    const double margin = least_ == 0 ? 1 : std::abs(least_) * 0.1;
    most_ = least_ + margin;
    if (least_ != 0) least_ -= margin;
  }
}

double Axis::At(double value) const {
  const double held = std::clamp(value, least_, most_);
  const double share =
      logarithmic_ ? std::log(held / least_) / std::log(most_ / least_) : (held - least_) / (most_ - least_);
  return from_ + share * (to_ - from_);
}

std::vector<double> Axis::Ticks(int about) const {
  return logarithmic_ ? LogTicks(least_, most_) : NiceTicks(least_, most_, about);
}

double RoundUp(double most) {
  if (!Drawable(most) || most <= 0) return 1;
  const double step = NiceStep(most, 4);
  return std::ceil(most / step - 1e-9) * step;
}

}  // namespace baton::report
