cwlVersion: v1.2
class: CommandLineTool
hints:
  DockerRequirement: {dockerPull: "busybox:latest"}
baseCommand: [sh, -c]
arguments: ["wc -c < $(inputs.file.path) && echo made > made.txt"]
inputs:
  file: File
outputs:
  counted: stdout
  made: {type: File, outputBinding: {glob: made.txt}}
stdout: counted.txt
