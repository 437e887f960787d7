#include "tests/integration/router/test_certificates.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>

namespace baton::router::testing {
namespace {

template <typename T, void (*kFree)(T*)>
struct Free {
  void operator()(T* thing) const { kFree(thing); }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509, X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX, SSL_CTX_free>>;
using Session = std::unique_ptr<SSL, Free<SSL, SSL_free>>;

Certificate Make(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  static long serial = 1;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints,
                                                  issuer == nullptr ? "CA:TRUE" : "CA:FALSE");
  X509_add_ext(certificate.get(), extension, -1);
  X509_EXTENSION_free(extension);
  EXPECT_GT(X509_sign(certificate.get(), issuer_key, EVP_sha256()), 0);
  return certificate;
}

// Written whole or not at all, as whoever renews certificates should.
template <typename Writer>
void WriteFile(const std::string& path, Writer write) {
  const std::string fresh = path + ".new";
  FILE* file = std::fopen(fresh.c_str(), "w");
  ASSERT_NE(file, nullptr) << fresh;
  EXPECT_EQ(write(file), 1);
  std::fclose(file);
  std::filesystem::rename(fresh, path);
}

int Connect(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

}  // namespace

struct TestAuthority::Impl {
  Key key{EVP_EC_gen("P-256")};
  Certificate certificate;
};

TestAuthority::TestAuthority(const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->certificate = Make(name, impl_->key.get(), nullptr, impl_->key.get());
}

TestAuthority::~TestAuthority() = default;

void TestAuthority::Certify(const std::string& folder, const std::string& name) const {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Make(name, key.get(), impl_->certificate.get(), impl_->key.get());
  WriteFile(folder + "/" + name + ".pem",
            [&](FILE* file) { return PEM_write_X509(file, certificate.get()); });
  WriteFile(folder + "/" + name + ".key", [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

void TestAuthority::Write(const std::string& path) const {
  WriteFile(path, [&](FILE* file) { return PEM_write_X509(file, impl_->certificate.get()); });
}

TlsAnswer AskOverTls(uint16_t port, const std::string& request, const std::string& authority,
                     const std::string& certificate, const std::string& key) {
  TlsAnswer answer;
  const Context context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  EXPECT_EQ(SSL_CTX_load_verify_locations(context.get(), authority.c_str(), nullptr), 1);
  if (!certificate.empty()) {
    EXPECT_EQ(SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM), 1);
  }
  const int fd = Connect(port);
  const Session session(SSL_new(context.get()));
  SSL_set_fd(session.get(), fd);
  answer.connected = SSL_connect(session.get()) == 1;
  if (answer.connected) {
    char name[256] = {};
    const Certificate shown(SSL_get1_peer_certificate(session.get()));
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name, sizeof(name));
    answer.subject = name;
    SSL_write(session.get(), request.data(), static_cast<int>(request.size()));
    char bytes[4096];
    for (int got = 1; (got = SSL_read(session.get(), bytes, sizeof(bytes))) > 0;)
      answer.text.append(bytes, got);
  }
  close(fd);
  return answer;
}

}  // namespace baton::router::testing
