// Calls InferenceService.Encode from the .proto files with @grpc/proto-loader.
//   node encode_dynamic.mjs NODE_MODULES PROTO_DIR ADDRESS REQUEST.json   prints the codes as JSON
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const [modules, protoDir, address, requestPath] = process.argv.slice(2);
const require = createRequire(modules + '/');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const definition = loader.loadSync('saed/v1/inference.proto', {
  includeDirs: [protoDir],
  longs: String,
  enums: String,
});
const {InferenceService} = grpc.loadPackageDefinition(definition).saed.v1;
const client = new InferenceService(address, grpc.credentials.createInsecure());
const request = JSON.parse(readFileSync(requestPath, 'utf8'));
request.counts.data = Buffer.from(request.counts.data, 'base64');
client.Encode(request, (error, answer) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  const {rowOffsets, indices, values} = answer.codes;
  console.log(JSON.stringify({codes: {rowOffsets, indices, values}}));
});
