#pragma once

// Seeded damage to protobuf messages, in their bytes and in their fields.

#include <google/protobuf/message.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace baton::testing {

using Rng = std::mt19937_64;

inline void MutateBytes(Rng& rng, std::string* bytes) {
  for (uint64_t left = 1 + rng() % 4; left > 0; --left) {
    const size_t at = bytes->empty() ? 0 : rng() % bytes->size();
    switch (rng() % 6) {
      case 0:
        if (!bytes->empty()) (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << (rng() % 8)));
        break;
      case 1:
        if (!bytes->empty()) (*bytes)[at] = static_cast<char>(rng());
        break;
      case 2:
        bytes->resize(at);
        break;
      case 3:
        bytes->insert(at, std::string(1 + rng() % 9, static_cast<char>(rng() % 2 ? 0xff : rng())));
        break;
      case 4:
        bytes->insert(at, bytes->substr(0, rng() % 64));
        break;
      case 5:
        bytes->erase(at, 1 + rng() % 8);
        break;
    }
  }
}

// A value near an edge, or near `old`.
inline uint64_t EdgeValue(Rng& rng, uint64_t old) {
  const uint64_t edges[] = {0,
                            1,
                            15,
                            16,
                            17,
                            old - 1,
                            old + 1,
                            old * 2,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            uint64_t{1} << 62,
                            ~uint64_t{0},
                            rng() % 100,
                            rng()};
  return edges[rng() % std::size(edges)];
}

inline void MutateFields(Rng& rng, google::protobuf::Message* message);

inline void MutateScalar(Rng& rng, google::protobuf::Message* message,
                         const google::protobuf::FieldDescriptor* field) {
  using Field = google::protobuf::FieldDescriptor;
  const auto* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case Field::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, EdgeValue(rng, reflection->GetUInt64(*message, field)));
    case Field::CPPTYPE_UINT32:
      return reflection->SetUInt32(
          message, field, static_cast<uint32_t>(EdgeValue(rng, reflection->GetUInt32(*message, field))));
    case Field::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, static_cast<int32_t>(EdgeValue(rng, 0)));
    case Field::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, !reflection->GetBool(*message, field));
    case Field::CPPTYPE_STRING:
      return reflection->SetString(message, field, std::string(rng() % 600, 'x'));
    case Field::CPPTYPE_MESSAGE:
      if (rng() % 8 == 0) return reflection->ClearField(message, field);
      return MutateFields(rng, reflection->MutableMessage(message, field));
    default:
      return;
  }
}

inline void MutateRepeated(Rng& rng, google::protobuf::Message* message,
                           const google::protobuf::FieldDescriptor* field) {
  using Field = google::protobuf::FieldDescriptor;
  const auto* reflection = message->GetReflection();
  const int size = reflection->FieldSize(*message, field);
  if (size > 0 && rng() % 3 == 0) return reflection->RemoveLast(message, field);
  const int at = size > 0 ? static_cast<int>(rng() % size) : 0;
  const bool add = size == 0 || rng() % 2 == 0;
  if (field->cpp_type() == Field::CPPTYPE_UINT64) {
    if (add) return reflection->AddUInt64(message, field, rng());
    return reflection->SetRepeatedUInt64(message, field, at, rng());
  }
  if (field->cpp_type() == Field::CPPTYPE_UINT32) {
    const auto value = static_cast<uint32_t>(EdgeValue(rng, 0));
    if (add) return reflection->AddUInt32(message, field, value);
    return reflection->SetRepeatedUInt32(message, field, at, value);
  }
}

// One field, at any depth, of those that are set.
inline void MutateFields(Rng& rng, google::protobuf::Message* message) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  message->GetReflection()->ListFields(*message, &fields);
  if (fields.empty() || rng() % 10 == 0) {
    const auto* descriptor = message->GetDescriptor();
    if (descriptor->field_count() == 0) return;
    fields = {descriptor->field(static_cast<int>(rng() % descriptor->field_count()))};
  }
  const auto* field = fields[rng() % fields.size()];
  field->is_repeated() ? MutateRepeated(rng, message, field) : MutateScalar(rng, message, field);
}

}  // namespace baton::testing
