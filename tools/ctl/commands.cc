#include "tools/ctl/commands.h"

#include <cstdio>

namespace baton::ctl {

int Fail(const std::string& what) {
  fprintf(stderr, "baton: %s\n", what.c_str());
  return 1;
}

}  // namespace baton::ctl
