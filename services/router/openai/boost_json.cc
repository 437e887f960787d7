// Boost.JSON's implementation, compiled once.
#include <boost/json/src.hpp>
