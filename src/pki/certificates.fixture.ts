/** The names and addresses of a plane as tests know it: a CertificateContext of one member, without egress. */
export const context = {
  host: 'k.example.com',
  namespace: 'team-a',
  dnsDomain: 'cluster.local',
  firstServiceIp: '10.3.0.1',
  apiserverServiceIp: '10.96.0.5',
  workerEndpointHost: 'k.example.com',
  extraSans: [],
  etcdServiceIps: ['10.96.0.6'],
};
