// ClickHouse's HTTP interface, as much of it as weir speaks, over chdb: a current server's types and settings for the
// tests. usage: node chdb_server.mjs NODE_MODULES_PARENT DIRECTORY   Prints its port; ends when stdin does.
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';

const { Session } = createRequire(process.argv[2] + '/x.js')('chdb');
const directory = process.argv[3], session = new Session(directory + '/chdb');
const run = (sql, format = 'TabSeparated') => session.query(sql, format);

function insert(params, body) {
  const [, table, columns] = /INSERT INTO (\S+) \((.*)\) FORMAT RowBinary/.exec(params.get('query'));
  const [database, name] = table.split('.');
  const types = new Map(run(`SELECT name, type FROM system.columns WHERE database = '${database}' AND table = '${name}'
    FORMAT JSONCompactEachRow`).trim().split('\n').map((line) => JSON.parse(line)));
  const structure = columns.split(',').map((c) => `${c} ${types.get(c)}`).join(', ').replaceAll("'", "\\'");
  const settings = ['insert_deduplicate', 'insert_deduplication_token'].filter((s) => params.has(s))
    .map((s) => `${s} = '${params.get(s)}'`).join(', ');

  fs.writeFileSync(directory + '/body', body);
  run(`INSERT INTO ${table} (${columns}) ${settings && 'SETTINGS ' + settings}
    SELECT * FROM file('${directory}/body', 'RowBinary', '${structure}')`);
}

const server = http.createServer((request, response) => {
  const parts = [], params = new URL(request.url, 'http://x').searchParams;

  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts);

    try {
      const reply = params.get('query')?.startsWith('INSERT') ? insert(params, body) ?? '' : run(body.toString());

      // Once, on demand, the reply to an insert is lost: the client cannot know that it was done.
      if (params.has('query') && fs.existsSync(directory + '/lose_reply')) {
        fs.unlinkSync(directory + '/lose_reply');
        request.socket.destroy();
        return;
      }
      response.end(reply);
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error.message ?? error));
    }
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
