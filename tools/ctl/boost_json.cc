// Boost.JSON is compiled here, once, for the tools: Debian's headers carry its sources.
#include <boost/json/src.hpp>
