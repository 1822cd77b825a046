import { bucketStore } from './bucket.ts';
import { main, runJob } from './run.ts';

await main((config) => runJob(config, bucketStore(config.bucket!)));
