# Every third-party library, found once and given one name each. All are Debian 12 packages.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED)
find_package(GTest REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zmq REQUIRED IMPORTED_TARGET libzmq)
pkg_check_modules(ucx REQUIRED IMPORTED_TARGET ucx)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

# Asio and Beast exchange errors by code; none of their types crosses a library boundary of ours.
add_library(baton_boost INTERFACE)
target_link_libraries(baton_boost INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(baton_boost INTERFACE
  BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_USE_STD_STRING_VIEW)
