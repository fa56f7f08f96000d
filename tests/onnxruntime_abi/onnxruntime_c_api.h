// What examples/cpp takes of onnxruntime's C API, declared by hand: its wheels hold the library but no
// header. OrtApi is a table that only ever grows at its end (GetApi is asked for version 17 of it),
// so the places of these functions are fixed. tests/test_examples.py prefers the real header, and
// compares the places where it is there.
#pragma once
#include <cstddef>
#include <cstdint>

struct OrtStatus;
struct OrtEnv;
struct OrtSession;
struct OrtSessionOptions;
struct OrtRunOptions;
struct OrtValue;
struct OrtMemoryInfo;
struct OrtTensorTypeAndShapeInfo;
enum OrtLoggingLevel { ORT_LOGGING_LEVEL_WARNING = 2 };
enum OrtAllocatorType { OrtArenaAllocator = 1 };
enum OrtMemType { OrtMemTypeDefault = 0 };
enum ONNXTensorElementDataType {
    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7
};

struct OrtApi {
    void* other0[2];
    const char* (*GetErrorMessage)(const OrtStatus*);
    OrtStatus* (*CreateEnv)(OrtLoggingLevel, const char*, OrtEnv**);
    void* other4[3];
    OrtStatus* (*CreateSession)(const OrtEnv*, const char*, const OrtSessionOptions*, OrtSession**);
    void* other8[1];
    OrtStatus* (*Run)(OrtSession*, const OrtRunOptions*, const char* const*, const OrtValue* const*,
                      size_t, const char* const*, size_t, OrtValue**);
    OrtStatus* (*CreateSessionOptions)(OrtSessionOptions**);
    void* other11[6];
    OrtStatus* (*DisableMemPattern)(OrtSessionOptions*);
    void* other18[6];
    OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int);
    void* other25[24];
    OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void*, size_t,
                                                 const int64_t*, size_t,
                                                 ONNXTensorElementDataType, OrtValue**);
    void* other50[1];
    OrtStatus* (*GetTensorMutableData)(OrtValue*, void**);
    void* other52[12];
    OrtStatus* (*GetTensorShapeElementCount)(const OrtTensorTypeAndShapeInfo*, size_t*);
    OrtStatus* (*GetTensorTypeAndShape)(const OrtValue*, OrtTensorTypeAndShapeInfo**);
    void* other66[3];
    OrtStatus* (*CreateCpuMemoryInfo)(OrtAllocatorType, OrtMemType, OrtMemoryInfo**);
    void* other70[25];
    void (*ReleaseSession)(OrtSession*);
    void (*ReleaseValue)(OrtValue*);
    void* other97[2];
    void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo*);
    void (*ReleaseSessionOptions)(OrtSessionOptions*);
};

struct OrtApiBase {
    const OrtApi* (*GetApi)(uint32_t);
    const char* (*GetVersionString)();
};

extern "C" const OrtApiBase* OrtGetApiBase();
