// Graphs and tensors over onnxruntime's C API, and the little of JSON that a voice needs.
#pragma once
#include <onnxruntime_c_api.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

using Floats = std::vector<float>;
using Names = std::vector<const char*>;
using Shape = std::vector<int64_t>;
using Value = std::shared_ptr<OrtValue>;

static const OrtApi* const ort = OrtGetApiBase()->GetApi(17);  // any onnxruntime since 1.17 has it

inline void fail(const std::string& why) {
    std::cerr << "error: " << why << "\n";
    std::exit(1);
}

inline void check(OrtStatus* status) {
    if (status) fail(ort->GetErrorMessage(status));
}

// A tensor that reads `data`, which must outlive it.
template <class T>
Value tensor(std::vector<T>& data, const Shape& shape) {
    static OrtMemoryInfo* memory = nullptr;
    if (!memory) check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    const auto type = std::is_same<T, float>::value ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
                                                    : ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    OrtValue* made = nullptr;
    check(ort->CreateTensorWithDataAsOrtValue(memory, data.data(), data.size() * sizeof(T),
                                              shape.data(), shape.size(), type, &made));
    return Value(made, ort->ReleaseValue);
}

inline Floats floats(const Value& value) {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    size_t count = 0;
    void* data = nullptr;
    check(ort->GetTensorTypeAndShape(value.get(), &info));
    check(ort->GetTensorShapeElementCount(info, &count));
    ort->ReleaseTensorTypeAndShapeInfo(info);
    check(ort->GetTensorMutableData(value.get(), &data));
    return Floats(static_cast<float*>(data), static_cast<float*>(data) + count);
}

// One graph of a voice, on one thread.
class Graph {
  public:
    Graph(const std::string& file, Names inputs, Names outputs) : in(inputs), out(outputs) {
        static OrtEnv* env = nullptr;
        if (!env) check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "speak", &env));
        OrtSessionOptions* options = nullptr;
        check(ort->CreateSessionOptions(&options));
        check(ort->SetIntraOpNumThreads(options, 1));
        check(ort->DisableMemPattern(options));  // lengths vary: memory would pile up
        check(ort->CreateSession(env, file.c_str(), options, &session));
        ort->ReleaseSessionOptions(options);
    }
    ~Graph() { ort->ReleaseSession(session); }
    Graph(const Graph&) = delete;

    std::vector<Value> run(const std::vector<Value>& inputs) {
        std::vector<const OrtValue*> feeds;
        for (const auto& value : inputs) feeds.push_back(value.get());
        std::vector<OrtValue*> made(out.size(), nullptr);
        check(ort->Run(session, nullptr, in.data(), feeds.data(), in.size(), out.data(),
                       out.size(), made.data()));
        std::vector<Value> results;
        for (auto* value : made) results.emplace_back(value, ort->ReleaseValue);
        return results;
    }

  private:
    OrtSession* session = nullptr;
    Names in, out;
};

// The number or numbers at `path` of a JSON text as tts-kit writes it; none where it ends before.
inline std::vector<double> numbers(const std::string& json, const std::vector<std::string>& path) {
    std::vector<double> found;
    size_t at = 0;
    for (const auto& key : path) {
        at = json.find("\"" + key + "\": ", at);
        if (at == std::string::npos) return found;
        at += key.size() + 4;
    }
    const char* next = json.c_str() + at + (json[at] == '[');
    char* end = nullptr;
    for (double x = std::strtod(next, &end); end != next; x = std::strtod(next, &end)) {
        found.push_back(x);
        next = end + (*end == ',');
    }
    return found;
}
